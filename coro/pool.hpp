#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <caf/actor_control_block.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace sandy::coro {

/// The server's threads. Each owns one io_context; sockets stay with their thread, and CAF's actors run here
/// too (see scheduler.hpp). A few more threads exist for calls that block.
///
/// Order of life: pool, then configuration (use_pool), then actor_system, then start_bridges; the
/// actor_system is destroyed while the pool still runs.
class pool {
public:
  /// Starts the threads. @param threads at least 1. @param blocking_threads for fork, mount, SQLite.
  explicit pool(std::size_t threads, std::size_t blocking_threads = 8);
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;
  /// Waits for the blocking calls, then stops the threads.
  ~pool();

  std::size_t size() const noexcept { return contexts_.size(); }
  boost::asio::io_context& context(std::size_t index) noexcept { return *contexts_[index]; }
  /// Index of the calling thread's context; size() on threads that are not of this pool.
  std::size_t current() const noexcept;
  /// The calling thread's context, or one of them on other threads.
  boost::asio::io_context& here() noexcept { return *contexts_[current() % contexts_.size()]; }
  /// Runs calls that block. Never the place for work that waits for actors.
  boost::asio::thread_pool& blocking() noexcept { return blocking_; }

  /// Makes CAF run its actors here. Call on the configuration before the actor system is made.
  void use_for(caf::actor_system_config& config);

  /// Makes `ask` work on the pool's threads. Call once, after the actor system is made.
  void start_bridges(caf::actor_system& system);
  /// Ends what `start_bridges` began; asks in flight fail. Call before the actor system is destroyed.
  void stop_bridges();

private:
  using guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
  std::vector<guard> guards_;
  std::vector<std::thread> threads_;
  std::vector<caf::strong_actor_ptr> bridges_;
  boost::asio::thread_pool blocking_;
};

} // namespace sandy::coro
