#pragma once

namespace sandy::cli {

/// From now on the first SIGINT or SIGTERM only ends what is waited for (see `watched_socket`); a second one
/// ends the program. Broken pipes become errors of write(2).
void install_interrupts();

/// The signal that arrived, 0 if none did.
int interrupted() noexcept;

/// The same, and forgets it: what is done to clean up must not fail for it.
int take_interrupt() noexcept;

/// While it lives, an interrupt shuts this socket down, so that a blocked read or write returns.
class watched_socket {
public:
  explicit watched_socket(int fd) noexcept;
  watched_socket(const watched_socket&) = delete;
  watched_socket& operator=(const watched_socket&) = delete;
  ~watched_socket();
};

} // namespace sandy::cli
