#include "http/client/call.hpp"

#include <algorithm>
#include <charconv>

namespace sandy::http::client {

using std::chrono::milliseconds;

namespace {

// Interim answers (100, 103) that a server may give before its answer.
constexpr int most_interim = 64;
constexpr std::size_t piece_bytes = 64 * 1024;

caf::error failed(std::string_view what) {
  return fail(errc::upstream_error, "Upstream error: " + std::string{what});
}

} // namespace

call::call(shard& home, address to, patience limits)
    : home_(home)
    , to_(std::move(to))
    , limits_(limits) {}

call::~call() {
  if (!up_ || !ended_)
    return;
  up_->link.buffer().consume(given_);
  const auto& head = up_->answer;
  auto framed = head_only_ || head.length || head.chunked;
  if (framed && head.keep_alive && body_left_ == 0 && !body_chunked_)
    home_.upstreams->keep(std::move(up_));
}

bool call::expired() const { return limits_.total.count() > 0 && within_total(limits_.total).count() <= 1; }

/// At least a millisecond: 0 would be for ever.
milliseconds call::within_total(milliseconds limit) const {
  if (limits_.total.count() == 0)
    return limit;
  auto left = begun_ + limits_.total - std::chrono::steady_clock::now();
  return std::max(milliseconds{1}, std::min(limit, std::chrono::ceil<milliseconds>(left)));
}

caf::error call::too_slow() const {
  return fail(errc::deadline_exceeded, "Upstream error: no answer in time");
}

bool call::reuse() {
  up_ = home_.upstreams->reuse(to_);
  return up_ != nullptr;
}

io_task<result<void>> call::connect() {
  up_ = nullptr;
  auto made = co_await home_.upstreams->connect(to_, within_total(limits_.connect));
  if (!made)
    co_return std::move(made.error());
  up_ = std::move(*made);
  co_return caf::unit;
}

void call::write_head(const request& what, std::string_view length_line) {
  auto& out = up_->out;
  out.clear();
  out.append(what.method).append(" ").append(what.target).append(" HTTP/1.1\r\nHost: ");
  out.append(authority_of(to_)).append("\r\n").append(what.fields).append(length_line).append("\r\n");
  head_only_ = what.method == "HEAD";
  interim_ = 0;
}

/// One that takes no more of a request may have said why: that is for who reads its answer.
io_task<result<void>> call::send_out(std::string_view body) {
  auto sent = co_await up_->link.send({up_->out, body}, within_total(limits_.stall));
  up_->out.clear();
  if (sent == io_status::timed_out)
    co_return failed("the server does not read its requests");
  body_left_ = sent == io_status::ok ? body_left_ : 1; // else the connection is never to be used again
  co_return caf::unit;
}

io_task<result<void>> call::send_request(request what, std::string_view body) {
  std::string length;
  if (!body.empty() || what.method != "GET")
    length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  body_left_ = 0;
  write_head(what, length);
  return send_out(body);
}

io_task<result<void>> call::ask(request what, std::string_view body) {
  for (auto again = what.repeatable;; again = false) {
    if (!again || !reuse()) {
      auto connected = co_await connect();
      if (!connected)
        co_return connected;
    }
    auto sent = co_await send_request(what, body);
    if (!sent)
      co_return sent;
    auto head = co_await read_head();
    if (!head)
      co_return std::move(head.error());
    if (*head == head_state::there)
      co_return caf::unit;
    if (!reused())
      co_return failed("the server closed the connection without an answer");
  }
}

io_task<result<void>> call::begin(request what, std::optional<std::uint64_t> length) {
  auto connected = co_await connect(); // nobody could send the body again
  if (!connected)
    co_return connected;
  body_chunked_ = !length;
  body_left_ = length.value_or(0);
  write_head(what, length ? "Content-Length: " + std::to_string(*length) + "\r\n"
                          : std::string{"Transfer-Encoding: chunked\r\n"});
  co_return caf::unit; // the head travels with the first piece
}

io_task<result<void>> call::send(std::string_view bytes) {
  if (bytes.empty())
    co_return caf::unit;
  auto& out = up_->out;
  connection::pieces pieces{out, bytes};
  if (body_chunked_) {
    char size[18];
    auto end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
    out.append(size, end).append("\r\n");
    pieces = {out, bytes, "\r\n"};
  } else {
    if (bytes.size() > body_left_)
      co_return fail(errc::internal, "More of a request was sent than announced");
    body_left_ -= bytes.size();
  }
  auto sent = co_await up_->link.send(pieces, within_total(limits_.stall));
  out.clear();
  if (sent == io_status::ok)
    co_return caf::unit;
  body_left_ = 1; // never to be used again
  co_return failed(sent == io_status::timed_out ? "the server does not read its requests"
                                                : "the server takes no more of the request");
}

io_task<result<void>> call::answer_head() {
  if (body_chunked_ && body_left_ == 0)
    up_->out.append("0\r\n\r\n");
  body_chunked_ = false;
  auto sent = co_await send_out({});
  if (!sent)
    co_return sent;
  auto head = co_await read_head();
  if (!head)
    co_return std::move(head.error());
  if (*head == head_state::died)
    co_return failed("the server closed the connection without an answer");
  co_return caf::unit;
}

result<call::head_state> call::take_head() {
  auto& head = up_->answer;
  for (;;) {
    if (auto size = head_size(up_->link.buffer().data()); size > 0) {
      up_->parser.emplace(head, head_only_);
      auto valid = size <= upstream_answer::max_bytes &&
                   up_->parser->take_head(up_->link.buffer().data().substr(0, size));
      up_->link.buffer().consume(size);
      if (!valid || head.status == 101 || (head.status < 200 && ++interim_ > most_interim))
        return failed("the answer is not valid HTTP");
      if (head.status < 200)
        continue;
      head_only_ = head_only_ || head.status == 204 || head.status == 304;
      answer_left_ = head.length.value_or(0);
      return head_state::there;
    }
    if (up_->link.buffer().size() > upstream_answer::max_bytes)
      return failed("the head of the answer is too large");
    auto status = up_->link.receive(upstream_answer::max_bytes + 1);
    if (status == io_status::would_block)
      return head_state::not_yet;
    if (status == io_status::ok)
      continue;
    if (up_->link.buffer().empty() && interim_ == 0)
      return head_state::died;
    return failed("the answer ended within its head");
  }
}

io_task<result<call::head_state>> call::read_head() {
  auto give_up = std::chrono::steady_clock::now() + limits_.first_byte;
  for (;;) {
    auto state = take_head();
    if (!state || *state != head_state::not_yet)
      co_return state;
    auto left = std::chrono::ceil<milliseconds>(give_up - std::chrono::steady_clock::now());
    auto status = co_await wait(std::max(left, milliseconds{1}));
    if (status == io_status::timed_out)
      co_return too_slow();
    if (status == io_status::closed) // aborted on our side: its sandbox ended
      co_return head_state::died;
  }
}

result<call::piece> call::broke_off() { return failed("the answer broke off"); }

result<call::piece> call::take() {
  const auto& head = up_->answer;
  up_->link.buffer().consume(given_);
  given_ = 0;
  if (ended_ || head_only_ || (head.length && answer_left_ == 0)) {
    ended_ = true;
    return piece{{}, true};
  }
  if (expired())
    return too_slow();
  if (head.chunked)
    return take_chunks();
  if (up_->link.buffer().empty()) {
    auto status = up_->link.receive(piece_bytes);
    if (status == io_status::would_block)
      return piece{};
    if (status == io_status::closed) {
      ended_ = !head.length && up_->link.ended();
      return ended_ ? result<piece>{piece{{}, true}} : broke_off();
    }
  }
  auto bytes = up_->link.buffer().data();
  if (head.length) {
    bytes = bytes.substr(0, answer_left_);
    answer_left_ -= bytes.size();
    ended_ = answer_left_ == 0;
  }
  given_ = bytes.size();
  return piece{bytes, ended_};
}

result<call::piece> call::take_chunks() {
  auto& bytes = up_->back;
  bytes.clear();
  for (;;) {
    auto used = up_->parser->take_chunks(up_->link.buffer().data(), bytes);
    if (!used)
      return failed("the answer is not valid HTTP");
    up_->link.buffer().consume(*used);
    ended_ = up_->parser->is_done();
    if (ended_ || !bytes.empty())
      return piece{bytes, ended_};
    if (*used > 0 && !up_->link.buffer().empty())
      continue;
    auto status = up_->link.receive(piece_bytes);
    if (status == io_status::would_block)
      return piece{};
    if (status == io_status::closed)
      return broke_off();
  }
}

io_task<io_status> call::wait(milliseconds limit) { return up_->link.wait_readable(within_total(limit)); }

io_task<result<call::piece>> call::next() {
  for (;;) {
    auto got = take();
    if (!got || got->last || !got->bytes.empty())
      co_return got;
    auto status = co_await wait(limits_.between);
    if (status == io_status::timed_out)
      co_return too_slow();
    if (status == io_status::closed) // aborted on our side: its sandbox ended
      co_return broke_off();
  }
}

io_task<result<std::string>> call::read_all(std::uint64_t limit) {
  std::string all;
  for (;;) {
    auto got = co_await next();
    if (!got)
      co_return std::move(got.error());
    if (all.size() + got->bytes.size() > limit)
      co_return failed("the answer is too large");
    all.append(got->bytes);
    if (got->last)
      co_return all;
  }
}

} // namespace sandy::http::client
