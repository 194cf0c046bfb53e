#pragma once

#include "http/client/upstream.hpp"
#include "http/ingress/passed_head.hpp"
#include "http/ingress/visit.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace sandy::http::ingress {

/// Where a request goes.
struct destination {
  visit guest; ///< empty when it goes to another node
  std::uint16_t port = 0;
  passed_request request;
  std::optional<client::address> node{}; ///< which serves the request in our place
};

/// One request that is passed on to an application in a sandbox, or to another node, and its answer on the
/// way back. Bytes are streamed both ways at the pace of whoever takes them. Lives in its handler's frame.
///
/// Files: forward (the request, and the head of its answer), forward_answer (the way back).
class forwarding {
public:
  forwarding(exchange& ex, destination where);
  forwarding(const forwarding&) = delete;
  forwarding& operator=(const forwarding&) = delete;
  /// Counts what was passed on.
  ~forwarding();

  /// Passes the request on and the answer back, whatever its body, or what an Upgrade makes of it. Fails
  /// before anything was answered: with upstream_error, deadline_exceeded, or what reading the client's body
  /// fails with. An answer that breaks later is cut.
  io_task<result<void>> run();

  /// For a request without a body: reads the head of the answer, and the next step is up to the caller.
  io_task<result<void>> ask();
  /// Whether something listened.
  bool reached() const noexcept { return reached_; }
  unsigned status() const noexcept { return up_->answer.status; }
  /// Passes back the answer that `ask` led to. Once.
  io_task<void> pass_back();

private:
  static constexpr std::size_t piece_bytes = 64 * 1024;
  enum class step : std::uint8_t { done, died }; ///< died: the connection, before it said a word
  io_task<result<void>> connect(bool fresh);
  io_task<result<step>> send_head();
  io_task<result<step>> read_head();
  io_task<result<step>> next_head();
  io_task<void> send_body();
  io_task<void> answer_meanwhile();
  io_task<result<void>> run_with_body();
  io_task<io_status> readable(std::chrono::milliseconds limit);
  io_task<io_status> readable_or_leave();
  io_task<io_status> more();
  io_task<io_status> write(std::string_view bytes);
  io_task<bool> pass_sized(std::uint64_t left);
  io_task<bool> pass_chunks();
  io_task<bool> pass_to_end();
  io_task<void> switch_over();
  void append_piece(std::string_view piece);
  void release();

  exchange& ex_;
  destination where_;
  client::upstream_pool::handle up_;
  std::unique_ptr<char[]> memory_; ///< for large bodies
  std::uint64_t body_left_ = 0;    ///< of a sized request body
  bool body_chunked_ = false;
  bool body_unsent_ = false; ///< something of the request's body is still to come
  bool sent_whole_ = false;  ///< all of a body that was sent while it was answered
  bool alone_ = true;        ///< nobody else reads from the client
  bool head_waits_ = false;  ///< the head of the answer was not sent yet
  bool reached_ = false;
  std::chrono::steady_clock::time_point begun_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  bool complete_ = false;
  bool answered_ = false; ///< what fails now can only be shown by a cut
  bool reusable_ = false; ///< the connection, for another request
  caf::error failure_;
};

/// Passes one request on, and counts it. See `forwarding::run`.
io_task<result<void>> forward(exchange& ex, destination where);

} // namespace sandy::http::ingress
