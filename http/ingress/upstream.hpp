#pragma once

#include "http/connection.hpp"
#include "http/ingress/application_answer.hpp"
#include "runtime/entrance.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace sandy::http::ingress {

class upstream_pool;

/// One connection into a sandbox, and what speaking HTTP on it needs. Its socket keeps the sandbox's network:
/// it is aborted when the sandbox ends. Lives on its shard's thread.
class upstream : public coro::list_hook {
public:
  upstream(upstream_pool& pool, shard& home, std::shared_ptr<const runtime::entrance> to, std::uint16_t port);

  connection link;
  std::string out;  ///< what is to be sent to the application
  std::string back; ///< what is to be sent to its client
  application_answer answer;
  std::optional<application_answer_parser> parser;
  bool used_before = false; ///< it may have died unseen meanwhile

private:
  friend class upstream_pool;
  std::shared_ptr<const runtime::entrance> to_;
  std::uint16_t port_;
  upstream_pool& pool_;
  deadline idle_; ///< runs while nobody uses it
};

/// The connections of one thread into all sandboxes. Those that wait to be used again are bounded in number
/// and in time, and let go when their sandbox is not open any more.
class upstream_pool {
public:
  using handle = std::unique_ptr<upstream>;
  /// @param home outlives the pool.
  explicit upstream_pool(shard& home)
      : home_(home) {}
  upstream_pool(const upstream_pool&) = delete;
  upstream_pool& operator=(const upstream_pool&) = delete;
  ~upstream_pool();

  /// One that waits, and is alive as far as one can see; nullptr: there is none.
  handle reuse(const runtime::entrance& to, std::uint16_t port);
  /// Makes one. Fails with upstream_error when nothing listens, or does not accept within 10 s.
  io_task<result<handle>> connect(std::shared_ptr<const runtime::entrance> to, std::uint16_t port);
  /// Takes one back whose last answer was read to its end.
  void keep(handle used);

  /// Some entrance's state is another: see runtime::entrance_observer.
  void look_again();
  /// The server stops: closes those that wait, and keeps no more.
  void close();

private:
  friend class upstream;
  void forget(upstream& idle) noexcept;

  shard& home_;
  coro::list_hook idle_; ///< the last used first; owned
  coro::list_hook busy_; ///< owned by who uses them
  std::size_t idle_count_ = 0;
  bool closed_ = false;
};

} // namespace sandy::http::ingress
