#pragma once

#include "messages/sandbox_io.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace sandy::runtime {

/// Makes a TCP socket, AF_INET or AF_INET6, that is not connected yet and reaches what some sandbox's
/// processes reach. Does not block.
using socket_maker = std::function<io_task<result<unique_fd>>(int family)>;

/// What an address leads to.
struct relay_target {
  socket_maker sockets;
  std::function<std::shared_ptr<void>()> use; ///< what it returns is held as long as a relayed connection
  std::uint16_t closed_port = 0; ///< reset at once: what listens there is ours, and takes us for the target
  /// Tried in this order. Empty: the loopback addresses, at the port that was asked for.
  std::vector<boost::asio::ip::tcp::endpoint> places{};
};

/// Where captured connections of one sandbox are accepted and relayed. Has a thread: all but `post` is for
/// work that runs there. Destroying it closes it, soon and on the right thread; until then it keeps the
/// sandbox's network.
class relay_door {
public:
  virtual ~relay_door() = default;

  /// Runs `work` on the door's thread, in the order of the calls. On any thread.
  virtual void post(std::function<void()> work) = 0;
  /// Relays connections to this address to the places of the target. Replaces what was opened before.
  /// Connections to other addresses are reset.
  virtual void open(std::uint32_t address, relay_target target) = 0;
  /// Resets what is relayed to this address, and what comes: then nothing holds the target's network.
  virtual void cut(std::uint32_t address) noexcept = 0;
  /// Cuts everything and accepts no more: then nothing of ours holds the sandbox's network.
  virtual void close() noexcept = 0;
};

} // namespace sandy::runtime
