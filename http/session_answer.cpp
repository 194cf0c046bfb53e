#include "http/session.hpp"

#include "http/errors.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace sandy::http {

namespace {

// Smaller bodies are copied behind their head; for larger ones a second buffer is cheaper.
constexpr std::size_t copied_bytes = 16 * 1024;

bool status_has_no_body(unsigned status) noexcept { return status == 204 || status == 304 || status < 200; }

} // namespace

std::string_view session::allowed_origin() const noexcept {
  auto origin = head_.field("Origin");
  if (origin.empty())
    return {};
  const auto& origins = shard_->common->server.cors_origins;
  if (origins.empty())
    return "*";
  return std::ranges::find(origins, origin) != origins.end() ? origin : std::string_view{};
}

void session::start_answer(unsigned status) {
  if (answered_ != answer_state::none)
    throw std::logic_error("a handler answered twice");
  status_ = status;
  if (!may_keep_unread_body() || shard_->common->draining.load(std::memory_order_relaxed))
    keep_alive_ = false;
}

answer_head session::common_head(unsigned status, std::string_view content_type, const header_list& extra) {
  answer_head head;
  head.status = status;
  head.content_type = content_type;
  head.keep_alive = keep_alive_;
  head.http10 = head_.version < 11;
  head.date = shard_->date();
  head.request_id = request_id_;
  head.correlation_id = correlation_id_;
  auto decided = std::ranges::any_of(
      extra, [](const auto& field) { return field.first == "Access-Control-Allow-Origin"; });
  if (!decided)
    head.allowed_origin = allowed_origin();
  head.budget = budget_.limit > 0 ? &budget_ : nullptr;
  head.extra = extra.empty() ? nullptr : &extra;
  return head;
}

/// Sends what waits and `body` behind it.
io_task<io_status> session::send_out(std::string_view body) {
  auto status = co_await connection_.send({out_, body}, limits().write_timeout);
  out_.clear();
  if (status != io_status::ok)
    answered_ = answer_state::broken;
  co_return status;
}

io_task<void> session::send_whole(unsigned status, std::string_view content_type, std::string body,
                                  header_list extra) {
  start_answer(status);
  auto head = common_head(status, content_type, extra);
  head.body = status_has_no_body(status) ? framing::none : framing::length;
  head.length = body.size();
  append_head(out_, head);
  if (head.body == framing::none || head_only())
    body.clear();
  if (body.size() <= copied_bytes) {
    out_.append(body);
    body.clear();
  }
  answered_ = answer_state::complete;
  co_await send_out(body);
}

io_task<void> session::reply(unsigned status, const nlohmann::json& body, header_list extra) {
  // Bytes that are not UTF-8 must not turn an answer into an exception.
  return send_whole(status, "application/json",
                    body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), std::move(extra));
}

io_task<void> session::reply_bytes(unsigned status, std::string_view content_type, std::string body,
                                   header_list extra) {
  return send_whole(status, content_type, std::move(body), std::move(extra));
}

io_task<void> session::reply_error(const caf::error& err) {
  auto code = code_of(err);
  header_list extra;
  if (auto seconds = retry_after(err); seconds > 0)
    extra.emplace_back("Retry-After", std::to_string(seconds));
  if (code == errc::unauthorized)
    extra.emplace_back("WWW-Authenticate", "Bearer");
  if (code == errc::method_not_allowed)
    extra.emplace_back("Allow", std::string{match_.allow});
  return send_whole(to_status(code), "application/json", error_body(err), std::move(extra));
}

io_task<result<void>> session::begin_stream(unsigned status, std::string_view content_type,
                                            std::optional<std::uint64_t> length, header_list extra) {
  start_answer(status);
  framing_ = status_has_no_body(status) ? framing::none
             : length                   ? framing::length
             : head_.version >= 11      ? framing::chunked
                                        : framing::until_close;
  if (framing_ == framing::until_close)
    keep_alive_ = false;
  auto head = common_head(status, content_type, extra);
  head.body = framing_;
  head.length = stream_left_ = length.value_or(0);
  append_head(out_, head);
  answered_ = answer_state::streaming;
  // Bytes of a known length are at hand: the head travels with the first of them. Events may be long in
  // coming.
  if (framing_ == framing::length && length > 0 && !head_only())
    co_return result<void>{caf::unit};
  auto sent = co_await send_out();
  if (sent != io_status::ok)
    co_return fail(errc::cancelled, "The client is gone");
  co_return result<void>{caf::unit};
}

io_task<result<void>> session::write(std::string_view bytes) {
  // For HEAD, nobody wants the bytes: the handler may stop, and the head is the whole answer.
  if (answered_ != answer_state::streaming || head_only() || framing_ == framing::none)
    co_return fail(errc::cancelled, "The client is gone");
  if (bytes.empty())
    co_return result<void>{caf::unit};
  connection::pieces pieces{out_, bytes};
  if (framing_ == framing::length) {
    if (bytes.size() > stream_left_)
      throw std::logic_error("a handler wrote more than it announced");
    stream_left_ -= bytes.size();
  } else if (framing_ == framing::chunked) {
    char size[18];
    auto end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
    out_.append(size, end).append("\r\n");
    pieces = {out_, bytes, "\r\n"};
  }
  auto sent = co_await connection_.send(pieces, limits().write_timeout);
  out_.clear();
  if (sent == io_status::ok)
    co_return result<void>{caf::unit};
  answered_ = answer_state::broken;
  co_return fail(errc::cancelled, "The client is gone");
}

io_task<void> session::end_stream() {
  if (answered_ != answer_state::streaming)
    co_return;
  if (framing_ == framing::length && stream_left_ > 0 && !head_only()) {
    answered_ = answer_state::cut; // fewer bytes than announced: closing shows it
    co_return;
  }
  answered_ = answer_state::complete;
  if (framing_ == framing::chunked && !head_only())
    out_.append("0\r\n\r\n");
  co_await send_out();
}

void session::begin_passed(const passed_answer& head) {
  start_answer(head.status);
  framing_ = head.bodiless || status_has_no_body(head.status) ? framing::none
             : head.length                                    ? framing::length
             : head_.version >= 11                            ? framing::chunked
                                                              : framing::until_close;
  if (framing_ == framing::until_close)
    keep_alive_ = false;
  stream_left_ = head.length.value_or(0);
  append_passed_head(out_, head, framing_, keep_alive_, head_.version < 11);
  answered_ = answer_state::streaming;
}

io_task<result<void>> session::flush() {
  auto sent = co_await send_out();
  if (sent != io_status::ok)
    co_return fail(errc::cancelled, "The client is gone");
  co_return caf::unit;
}

connection& session::take_over() {
  start_answer(101);
  keep_alive_ = false;
  answered_ = answer_state::taken;
  return connection_;
}

io_task<void> session::hang_up() { return connection_.peer_closed(limits().header_bytes); }

} // namespace sandy::http
