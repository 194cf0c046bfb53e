#pragma once

#include "coro/intrusive_list.hpp"
#include "http/context.hpp"
#include "http/deadline_wheel.hpp"
#include "http/nodes/refusals.hpp"
#include "http/observer.hpp"
#include "http/router.hpp"
#include "http/timed.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http {

namespace client {
class upstream_pool;
}

/// What all sessions of a server share. The references outlive the server.
struct edge {
  context& server;
  const router& routes;
  http_observer& observer;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> inside{
      0}; ///< those of them that came from inside sandboxes: they have limits of their own
  std::atomic<std::size_t> nodes{0}; ///< and those that came from other nodes
  std::atomic<bool> draining{false};
  nodes::refusals refused_nodes;
};

/// Bytes read and not yet used; contiguous. Its memory comes from the shard's pool and goes back when the
/// connection idles.
class read_buffer {
public:
  std::string_view data() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
  std::size_t size() const noexcept { return end_ - begin_; }
  bool empty() const noexcept { return begin_ == end_; }
  void consume(std::size_t count) noexcept {
    begin_ += count;
    if (begin_ == end_)
      begin_ = end_ = 0;
  }

private:
  friend class buffer_pool;
  friend class connection;
  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Memory for read buffers. An idle connection holds none, so thousands of them are cheap.
class buffer_pool {
public:
  static constexpr std::size_t usual_bytes = 16 * 1024;
  /// Makes room for at least one byte behind the data. False when the buffer already holds `most` bytes.
  bool prepare(read_buffer& buffer, std::size_t most);
  /// Takes the memory of an empty buffer back.
  void release(read_buffer& buffer) noexcept;

private:
  static constexpr std::size_t kept = 64; // 1 MiB per thread
  std::vector<std::unique_ptr<char[]>> free_;
};

/// Something that comes to pass once, and may be waited for. Used on one thread; outlives who waits.
class occasion {
public:
  explicit occasion(boost::asio::io_context& io);
  void come() noexcept;
  bool came() const noexcept { return came_; }
  /// Returns when it has come.
  io_task<void> wait();

private:
  io_timer waiting_; ///< never fires; cancelled
  bool came_ = false;
};

/// The part of the edge that lives on one io_context. Used on its thread; sessions keep it alive.
struct shard {
  shard(boost::asio::io_context& io, std::shared_ptr<edge> shared_edge, std::chrono::milliseconds tick);
  ~shard();

  /// The value of the Date header now; formatted once a second.
  std::string_view date();
  /// 32 hex digits, unique enough to find a request in the logs; not secret.
  void append_request_id(std::string& out);

  boost::asio::io_context& io_context;
  std::shared_ptr<edge> common;
  std::shared_ptr<deadline_wheel> wheel;
  buffer_pool buffers;
  coro::list_hook sessions; ///< head of a list of class session: those from outside
  coro::list_hook inside;   ///< head of a list of class inside_listener
  bool accepting = false;   ///< the server was started
  occasion draining;        ///< the server began to stop: whoever took a connection over says good-bye
  occasion grace_over;      ///< what still runs is cancelled in a moment
  std::unique_ptr<client::upstream_pool> upstreams; ///< last: what it owns uses the rest

private:
  std::time_t date_second_ = -1;
  std::string date_;
  std::mt19937_64 random_{std::random_device{}()};
};

} // namespace sandy::http
