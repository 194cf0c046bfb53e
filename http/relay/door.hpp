#pragma once

#include "http/relay/acceptor.hpp"
#include "http/relay/relayed.hpp"
#include "runtime/connection_capture.hpp"
#include "runtime/relay_door.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace sandy::http::relay {

/// Relayed connections at a time: of one sandbox to one other, and of the whole server. Each takes two
/// descriptors. One more is reset at once: no sandbox uses up what is there for all.
inline constexpr std::size_t most_per_address = 256;
inline constexpr std::size_t most_of_all = 4096;

/// Accepts what was captured in one sandbox and relays it. Knows nothing of sandboxes: what an address leads
/// to comes from whoever opened it. Kept alive by its coroutines.
class door final : public runtime::relay_door, public std::enable_shared_from_this<door> {
public:
  /// @param label named in the log. @param open counts the relayed connections of the server.
  /// Fails with internal when the captured descriptor is no listening socket.
  static result<std::shared_ptr<door>> make(boost::asio::io_context& home,
                                            runtime::connection_capture captured, std::string label,
                                            std::shared_ptr<std::atomic<std::size_t>> open);

  /// Begins to accept. Once.
  void start();

  void post(std::function<void()> work) override;
  void open(std::uint32_t address, runtime::relay_target target) override;
  void cut(std::uint32_t address) noexcept override;
  void close() noexcept override;

private:
  /// Where connections to one address go.
  struct route {
    runtime::relay_target target;
    coro::list_hook pairs; ///< head of a list of struct relayed
    std::size_t open = 0;
  };
  door(boost::asio::io_context& home, std::string label, std::shared_ptr<std::atomic<std::size_t>> open);
  static io_task<void> serve(std::shared_ptr<relayed> pair, std::shared_ptr<route> way, std::uint16_t port,
                             std::shared_ptr<std::atomic<std::size_t>> open);
  void accepted(socket client);

  boost::asio::io_context& home_;
  std::string label_;
  std::shared_ptr<std::atomic<std::size_t>> open_;
  runtime::unique_fd steering_;
  acceptor acceptor_;
  std::map<std::uint32_t, std::shared_ptr<route>> routes_;
};

} // namespace sandy::http::relay
