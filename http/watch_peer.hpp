#pragma once

namespace sandy::http {

/// Has the kernel look now and then whether the silent peer of a TCP socket is still there; one that is not
/// breaks the connection within some minutes. A wish: it cannot fail.
void watch_peer(int socket) noexcept;

} // namespace sandy::http
