#pragma once

#include "http/client/address.hpp"
#include "http/client/answer.hpp"
#include "http/client/name_lookup.hpp"
#include "http/connection.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace sandy::http::client {

class upstream_pool;

/// One connection to a server, and what speaking HTTP on it needs. One into a sandbox keeps the sandbox's
/// network: it is aborted when the sandbox ends. Lives on its shard's thread.
class upstream : public coro::list_hook {
public:
  upstream(upstream_pool& pool, shard& home, address to);

  connection link; ///< speaks TLS by itself where it is spoken

  std::string out;  ///< what is to be sent to the server
  std::string back; ///< what is to be sent to its client
  upstream_answer answer;
  std::optional<answer_parser> parser;
  bool used_before = false; ///< it may have died unseen meanwhile
  bool abandoned = false;   ///< who it leads to is not waited for

private:
  friend class upstream_pool;
  address to_;
  upstream_pool& pool_;
  deadline idle_; ///< runs while nobody uses it
};

/// The connections of one thread to all servers. Those that wait to be used again are bounded in number and
/// in time, and those into a sandbox are let go when it is not open any more.
class upstream_pool {
public:
  using handle = std::unique_ptr<upstream>;
  static constexpr std::chrono::milliseconds usual_timeout{10'000}; ///< of a connection that is made
  /// @param home outlives the pool.
  explicit upstream_pool(shard& home, name_lookup names = {})
      : home_(home)
      , names_(std::move(names)) {}
  upstream_pool(const upstream_pool&) = delete;
  upstream_pool& operator=(const upstream_pool&) = delete;
  ~upstream_pool();

  /// One that waits, and is alive as far as one can see; nullptr: there is none.
  handle reuse(const address& to);
  /// Makes one. Fails with upstream_error when nothing listens, or there is no TLS that can be trusted, with
  /// deadline_exceeded when that is not clear within `timeout`.
  io_task<result<handle>> connect(address to, std::chrono::milliseconds timeout = usual_timeout);
  /// Takes one back whose last answer was read to its end.
  void keep(handle used);

  /// Some entrance's state is another: see runtime::entrance_observer.
  void look_again();
  /// Nothing comes from there any more: aborts every connection to it.
  void abandon(const address& lost);
  /// The server stops: closes those that wait, and keeps no more.
  void close();

private:
  friend class upstream;
  io_task<result<void>> enter(upstream& made);
  io_task<result<void>> reach(upstream& made);
  io_task<result<void>> reach_first(upstream& made);
  void forget(upstream& idle) noexcept;

  shard& home_;
  name_lookup names_;
  coro::list_hook idle_; ///< the last used first; owned
  coro::list_hook busy_; ///< owned by who uses them
  std::size_t idle_count_ = 0;
  bool closed_ = false;
};

} // namespace sandy::http::client
