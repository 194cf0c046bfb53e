#pragma once

#include "http/client/upstream.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::client {

/// How long a server may take.
struct patience {
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds first_byte{300'000}; ///< of the answer, once the request was sent
  std::chrono::milliseconds between{300'000};    ///< two pieces of the answer
  std::chrono::milliseconds total{0};            ///< from the begin to the last byte; 0: for ever
  std::chrono::milliseconds stall{30'000};       ///< until it takes more of the request
};

/// What is asked. Views: what they show lives until the head of the answer was read.
struct request {
  std::string_view method;
  std::string_view target; ///< path and query
  /// Whole lines, each with its end. None of Host, Connection, Content-Length or Transfer-Encoding.
  std::string_view fields;
  /// Being asked twice does no harm: then a connection that waited, and died before it answered, is made
  /// again.
  bool repeatable = false;
};

/// One request to a server, and its answer at the reader's pace. What goes wrong is an error value:
/// upstream_error, deadline_exceeded, and what `upstream_pool::connect` fails with. Destroying it closes the
/// connection, or keeps it for the next one when the answer was read to its end. Lives in a coroutine's frame
/// on the shard's thread; waits in one coroutine at a time.
class call {
public:
  /// @param home outlives it.
  call(shard& home, address to, patience limits);
  call(const call&) = delete;
  call& operator=(const call&) = delete;
  ~call();

  /// Sends the request with this body, and reads the head of the final answer.
  io_task<result<void>> ask(request what, std::string_view body = {});

  // The same step by step, for whoever has to do more than to wait.
  /// Takes a connection that waited. False: there is none.
  bool reuse();
  /// Makes a fresh connection.
  io_task<result<void>> connect();
  /// Whether there was a connection: what fails after that is not for want of one.
  bool connected() const noexcept { return up_ != nullptr; }
  /// Whether the connection waited before: then it may die without an answer although the server is well.
  bool reused() const noexcept { return up_->used_before; }
  /// Sends all of it. That the connection died is told by `take_head`: the server may have said why.
  io_task<result<void>> send_request(request what, std::string_view body);
  enum class head_state : std::uint8_t {
    there,
    not_yet, ///< `wait`
    died,    ///< the connection, before it said a word
  };
  /// Reads the head of the final answer, as far as it is there. Does not wait.
  result<head_state> take_head();

  // The same for a body that is not in memory: `begin`, any number of `send`, `answer_head`.
  /// @param length of the body; none: it is sent in chunks.
  io_task<result<void>> begin(request what, std::optional<std::uint64_t> length);
  /// Fails with upstream_error when the server takes no more; it may have answered why: see `answer_head`.
  io_task<result<void>> send(std::string_view piece);
  /// After the last piece.
  io_task<result<void>> answer_head();

  /// The head of the answer.
  const upstream_answer& answer() const noexcept { return up_->answer; }

  /// A piece of the answer's body. Valid until the next call of a member.
  struct piece {
    std::string_view bytes;
    bool last = false; ///< nothing follows
  };
  /// What is there now, perhaps nothing. Does not wait.
  result<piece> take();
  /// Waits until `take` has something to say, at most as long as `limit` and the whole may take.
  io_task<io_status> wait(std::chrono::milliseconds limit);
  /// Waits for the next piece; an empty one is the last.
  io_task<result<piece>> next();
  /// All of the body. Fails with upstream_error when it is larger than `limit`.
  io_task<result<std::string>> read_all(std::uint64_t limit);

  /// What `wait` ran into when it timed out.
  caf::error too_slow() const;
  /// The whole may take no longer.
  bool expired() const;
  const patience& limits() const noexcept { return limits_; }

private:
  void write_head(const request& what, std::string_view length_line);
  io_task<result<void>> send_out(std::string_view body);
  io_task<result<head_state>> read_head();
  std::chrono::milliseconds within_total(std::chrono::milliseconds limit) const;
  result<piece> take_chunks();
  result<piece> broke_off();

  shard& home_;
  address to_;
  patience limits_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  upstream_pool::handle up_;
  std::uint64_t body_left_ = 0; ///< of the request
  bool body_chunked_ = false;
  bool head_only_ = false;        ///< the answer has no body
  int interim_ = 0;               ///< answers before the final one
  std::uint64_t answer_left_ = 0; ///< of its body, with a known length
  std::size_t given_ = 0;         ///< of what is unread: the last piece
  bool ended_ = false;
};

} // namespace sandy::http::client
