#pragma once

#include "coro/intrusive_list.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace sandy::http::relay {

using socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, io_executor>;

/// Two TCP connections of which each gets what the other sends. Lives on one thread.
struct relayed : coro::list_hook {
  explicit relayed(socket accepted);

  /// Ends both at once, as if their peers had crashed: what is under way is lost, and both ends know.
  void cut() noexcept;

  socket near;        ///< whoever connected
  socket far;         ///< what it reaches; not open at first
  bool ended = false; ///< cut: nothing may be opened any more
  /// Told of what is about to be passed on, from the near side and to it; false: it is not, and both are cut.
  /// Empty: nobody counts.
  std::function<bool(std::size_t bytes)> sent, received;
  bool broken = false; ///< one end stopped taking what was sent: the other must not believe that it was taken
};

/// Prepares both sockets for moving bytes, and has the kernel notice peers that vanish.
void prepare(relayed& pair);

/// Moves bytes one way until that side has ended, which the other is told. After `prepare`. @param out from
/// the near side to the far one.
io_task<void> move_one_way(std::shared_ptr<relayed> pair, bool out);

/// Moves bytes both ways until both have ended. A side that stops sending is told to the other, which may go
/// on; one that breaks breaks the other. A slow reader slows its writer: at most 64 KiB wait here each way,
/// and nothing while nothing moves.
io_task<void> move_bytes(std::shared_ptr<relayed> pair);

} // namespace sandy::http::relay
