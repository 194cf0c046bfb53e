#include "http/session.hpp"

#include "http/nodes/idle_times.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>

namespace sandy::http {

namespace {

// A warm session keeps its strings up to this size.
constexpr std::size_t kept_bytes = 64 * 1024;

/// A line that goes on behind its end: programs differ in what they take it for (RFC 9112, section 5.2).
bool has_folded_line(std::string_view head) noexcept {
  return head.find("\n ") != std::string_view::npos || head.find("\n\t") != std::string_view::npos;
}

caf::error malformed() { return fail(errc::invalid_argument, "The request is not valid HTTP"); }

} // namespace

/// Reads the next request's head. False: there is none, and what could be said to the client was said.
io_task<bool> session::read_head() {
  parser_.emplace(head_);
  parser_->header_limit(limits().header_bytes);
  head_bytes_ = 0;
  answered_ = answer_state::none;
  status_ = 0;
  match_ = {};
  budget_ = {};
  body_ = body_state::done;
  continue_wanted_ = false;
  keep_alive_ = true;
  idle_ = true;
  if (out_.capacity() > kept_bytes)
    out_ = {};
  std::chrono::steady_clock::time_point give_up;
  for (;;) {
    if (!connection_.buffer().empty()) {
      auto need_more = false;
      auto valid = parse_head(need_more);
      if (valid && !need_more)
        break;
      if (!valid) {
        prepare_answer();
        keep_alive_ = false;
        auto too_large = head_bytes_ > limits().header_bytes || head_.too_many_fields;
        co_await reply_error(too_large ? fail(errc::header_too_large, "The request head is too large")
                                       : malformed());
        report();
        co_return false;
      }
    }
    auto begun = head_bytes_ > 0 || !connection_.buffer().empty();
    if (begun && idle_)
      give_up = std::chrono::steady_clock::now() + limits().header_timeout;
    idle_ = !begun;
    if (idle_ && shard_->common->draining.load(std::memory_order_relaxed))
      co_return false;
    // A client that took an answer has hardly sent its next request yet: looking would be a wasted system
    // call.
    auto status = begun || !served_ ? connection_.receive(std::size_t{limits().header_bytes} + 1)
                                    : io_status::would_block;
    served_ = false;
    if (status == io_status::would_block) {
      auto timeout = from_node_ ? std::max(limits().idle_timeout, nodes::served_idle) : limits().idle_timeout;
      if (begun)
        timeout = std::max(std::chrono::milliseconds{1}, std::chrono::ceil<std::chrono::milliseconds>(
                                                             give_up - std::chrono::steady_clock::now()));
      status = co_await connection_.wait_readable(timeout);
    }
    if (status == io_status::timed_out && begun) {
      prepare_answer();
      keep_alive_ = false;
      co_await reply_error(fail(errc::client_timeout, "The request head did not arrive in time"));
      report();
    }
    if (status != io_status::ok)
      co_return false;
  }
  idle_ = false;
  begin_body();
  prepare_answer();
  co_return true;
}

/// Feeds the parser. False: the bytes are no request that we take.
bool session::parse_head(bool& need_more) {
  auto& buffer = connection_.buffer();
  if (head_bytes_ == 0) // empty lines before a request are to be ignored (RFC 9112, section 2.2)
    while (buffer.data().starts_with("\r\n"))
      buffer.consume(2);
  need_more = buffer.empty() || buffer.data() == "\r";
  if (need_more)
    return true;
  boost::beast::error_code ec;
  auto used = parser_->put(boost::asio::const_buffer{buffer.data().data(), buffer.size()}, ec);
  if (has_folded_line(buffer.data().substr(0, used)))
    return false;
  head_bytes_ += used; // the parser's own limit covers only what it was given at once
  buffer.consume(used);
  need_more = ec == beast_http::error::need_more || (!ec && !parser_->is_header_done());
  auto size = head_bytes_ + (need_more ? buffer.size() : 0);
  if (size > limits().header_bytes || ec == beast_http::error::header_limit) {
    head_bytes_ = std::size_t{limits().header_bytes} + 1;
    return false;
  }
  return need_more || (!ec && (head_.version < 11 || head_.has_host));
}

/// What every answer needs, also that to a request we could not read.
void session::prepare_answer() {
  started_ = std::chrono::steady_clock::now();
  keep_alive_ = head_.keep_alive;
  request_id_.clear();
  if (auto id = head_.field("X-Request-Id"); is_plain_id(id))
    request_id_.append(id);
  else if (shard_->append_request_id(request_id_); head_.target().starts_with("/v1/chat/"))
    request_id_.replace(0, 8, "chatcmpl-"); // it is the completion's, too
  correlation_id_.clear();
  if (auto id = head_.field("X-Correlation-ID"); is_plain_id(id))
    correlation_id_.append(id);
}

} // namespace sandy::http
