#pragma once

#include "coro/task.hpp"
#include "messages/sandbox_io.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace sandy {

namespace coro {
class pool;
}

/// What a container's actor does with its container, as tasks of the actor.
class container_box {
public:
  virtual ~container_box() = default;

  /// Starts its program in the background. @returns the process's id inside.
  virtual coro::task<std::uint32_t> start(process_spec spec) = 0;
  /// Waits for the end of a process; its output is not read.
  virtual coro::task<process_exit> wait(std::uint32_t process_id) = 0;
  /// @param tree also all that it started
  virtual coro::task<void> signal(std::uint32_t process_id, int number, bool tree) = 0;
  /// The last line that a process printed which is not empty; see `last_line_of`.
  virtual coro::task<std::string> last_line(std::uint32_t process_id) = 0;
  /// Makes the names that one file of another sandbox's root gives to hosts its own.
  virtual coro::task<void> take_hosts(std::shared_ptr<sandbox_io> from) = 0;
  /// Has its guest live on for so long.
  virtual coro::task<void> renew_lease(std::chrono::milliseconds lease) = 0;
};

/// The real one. @param io of the container. @param guest_socket where its guest listens
std::shared_ptr<container_box> make_container_box(coro::pool& threads, std::shared_ptr<sandbox_io> io,
                                                  std::string guest_socket);

/// The last line of a text which is not empty, at most 500 bytes; what is no printable ASCII shows as spaces.
std::string last_line_of(std::string_view text);

} // namespace sandy
