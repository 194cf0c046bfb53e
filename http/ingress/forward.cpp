#include "http/ingress/forward.hpp"

#include "http/context.hpp"
#include "http/request_head.hpp"
#include "http/routes/common.hpp"
#include "http/shard.hpp"
#include "metrics/registry.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace sandy::http::ingress {

namespace net = boost::asio;
using std::chrono::milliseconds;

namespace {

// Most answers come within this time. Watching the client as well costs more than such an answer does.
constexpr milliseconds unwatched{50};
// To a node of the cluster, which is near.
constexpr milliseconds node_timeout{3'000};
// Interim answers (100, 103) that an application may give before its answer.
constexpr int most_interim = 64;

caf::error upstream_failure(std::string what) {
  return fail(errc::upstream_error, "Upstream error: " + what);
}

/// Whether an application that was asked twice does no more than one that was asked once (RFC 9110, section
/// 9.2.2).
bool is_idempotent(std::string_view method) noexcept {
  static constexpr std::array<std::string_view, 6> known{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::ranges::find(known, method) != known.end();
}

} // namespace

forwarding::forwarding(exchange& ex, destination where)
    : ex_(ex)
    , where_(std::move(where))
    , begun_(std::chrono::steady_clock::now()) {
  const auto& head = ex_.head();
  body_chunked_ = head.chunked;
  body_left_ = head.chunked ? 0 : head.content_length.value_or(0);
  body_unsent_ = body_chunked_ || body_left_ > 0;
}

forwarding::~forwarding() {
  if (where_.node) // it counts itself
    return;
  auto& metrics = ex_.server().metrics.ingress();
  if (!answered_)
    metrics.answered(0, 0);
  else if (!complete_)
    metrics.cut();
  if (bytes_in_ > 0)
    metrics.bytes_in(bytes_in_);
  if (bytes_out_ > 0)
    metrics.bytes_out(bytes_out_);
}

io_task<result<void>> forwarding::run() {
  if (body_unsent_) {
    auto outcome = co_await run_with_body();
    co_return outcome;
  }
  auto asked = co_await ask();
  if (!asked)
    co_return asked;
  co_await pass_back();
  co_return caf::unit;
}

/// Gives the connection back for the next request, or closes it.
void forwarding::release() {
  if (up_ && reusable_)
    ex_.home().upstreams->keep(std::move(up_));
  up_.reset();
}

io_task<result<void>> forwarding::ask() {
  // A connection that had waited may die just then, and nobody knows whether the request was taken: one that
  // must not be taken twice is not sent on such a connection.
  for (auto fresh = !is_idempotent(ex_.method());; fresh = true) {
    auto connected = co_await connect(fresh);
    if (!connected)
      co_return connected;
    auto outcome = co_await send_head();
    if (outcome && *outcome == step::done)
      outcome = co_await read_head();
    if (!outcome)
      co_return std::move(outcome.error());
    if (*outcome == step::done)
      co_return caf::unit;
    if (!up_->used_before || up_->abandoned)
      co_return upstream_failure("the application closed the connection without an answer");
  }
}

io_task<result<void>> forwarding::connect(bool fresh) {
  auto& pool = *ex_.home().upstreams;
  auto place = where_.node ? *where_.node : client::address::in_sandbox(where_.guest.to, where_.port);
  up_ = fresh ? nullptr : pool.reuse(place);
  reached_ = true;
  if (up_)
    co_return caf::unit;
  const auto timeout = where_.node ? node_timeout : client::upstream_pool::usual_timeout;
  auto made = co_await pool.connect(std::move(place), timeout);
  reached_ = made.engaged();
  if (!made)
    co_return std::move(made.error());
  up_ = std::move(*made);
  co_return caf::unit;
}

io_task<result<forwarding::step>> forwarding::send_head() {
  up_->out.clear();
  append_request_head(up_->out, ex_, where_.request);
  auto sent = co_await up_->link.send({up_->out}, ex_.server().limits.write_timeout);
  if (sent == io_status::timed_out)
    co_return upstream_failure("the application does not read its requests");
  co_return sent == io_status::ok ? step::done : step::died;
}

/// Reads the head of the final answer.
io_task<result<forwarding::step>> forwarding::read_head() {
  for (int interim = 0; interim <= most_interim; ++interim) {
    auto got = co_await next_head();
    if (!got || *got == step::died)
      co_return got;
    const auto status = up_->answer.status;
    if (status == 101 && !wants_upgrade(ex_.head()))
      break;
    if (status >= 200 || status == 101)
      co_return step::done;
  }
  co_return upstream_failure("the application's answer is not valid HTTP");
}

io_task<result<forwarding::step>> forwarding::next_head() {
  auto& link = up_->link;
  // Another node keeps the deadlines of what it does.
  const auto limit = where_.node ? milliseconds{0} : ex_.server().limits.upstream_timeout;
  for (;;) {
    if (auto size = client::head_size(link.buffer().data()); size > 0) {
      up_->parser.emplace(up_->answer, ex_.method() == "HEAD");
      auto valid = size <= client::upstream_answer::max_bytes &&
                   up_->parser->take_head(link.buffer().data().substr(0, size));
      link.buffer().consume(size);
      if (!valid)
        co_return upstream_failure("the application's answer is not valid HTTP");
      co_return step::done;
    }
    if (link.buffer().size() > client::upstream_answer::max_bytes)
      co_return upstream_failure("the head of the application's answer is too large");
    auto status = co_await readable(limit);
    if (status == io_status::ok)
      status = link.receive(client::upstream_answer::max_bytes + 1);
    if (status == io_status::timed_out)
      co_return fail(errc::deadline_exceeded, "Upstream error: the application did not answer in time");
    if (status != io_status::closed)
      continue;
    if (failure_) // the client is gone
      co_return failure_;
    if (link.buffer().empty())
      co_return step::died;
    co_return upstream_failure("the application's answer ended within its head");
  }
}

/// Waits for the application to say something; notices when the client is gone meanwhile. @param limit 0:
/// for ever.
io_task<io_status> forwarding::readable(milliseconds limit) {
  using net::experimental::awaitable_operators::operator||;
  auto& link = up_->link;
  auto status = co_await link.wait_readable(limit.count() > 0 ? std::min(limit, unwatched) : unwatched);
  if (status != io_status::timed_out)
    co_return status;
  memory_.reset(); // thousands of silent streams hold none
  if (head_waits_) {
    head_waits_ = false;
    auto sent = co_await ex_.flush();
    if (!sent)
      co_return io_status::closed;
  }
  if (!alone_) {
    status = co_await link.wait_readable(limit);
    co_return status;
  }
  if (where_.node)
    co_return co_await readable_or_leave();
  auto first = co_await (link.wait_readable(limit) || routes::long_gone(ex_));
  if (first.index() == 0)
    co_return std::get<0>(first);
  failure_ = fail(errc::cancelled, "The client is gone");
  co_return io_status::closed;
}

/// Of another node, which has to know when the client hangs up, and gives it the time that it gives its own.
io_task<io_status> forwarding::readable_or_leave() {
  using net::experimental::awaitable_operators::operator||;
  auto& link = up_->link;
  auto first = co_await (link.wait_readable(milliseconds{0}) || ex_.hang_up());
  if (first.index() == 0)
    co_return std::get<0>(first);
  alone_ = false; // nobody has to look any more, and the connection is for nobody else
  co_await link.shutdown_send(ex_.server().limits.write_timeout);
  co_return co_await link.wait_readable(milliseconds{0});
}

// -- requests with bodies
// ---------------------------------------------------------------------------------------------------

/// Appends a piece of the request's body as it is sent.
void forwarding::append_piece(std::string_view piece) {
  auto& out = up_->out;
  bytes_in_ += piece.size();
  if (body_chunked_) {
    char size[18];
    auto end = std::to_chars(size, size + 16, piece.size(), 16).ptr;
    out.append(size, end).append("\r\n").append(piece).append("\r\n");
    body_unsent_ = !piece.empty();
  } else {
    out.append(piece);
    body_left_ -= std::min<std::uint64_t>(piece.size(), body_left_);
    body_unsent_ = body_left_ > 0;
  }
}

io_task<result<void>> forwarding::run_with_body() {
  using net::experimental::awaitable_operators::operator||;
  auto connected = co_await connect(false);
  if (!connected)
    co_return connected;
  up_->out.clear();
  append_request_head(up_->out, ex_, where_.request);
  // Most bodies are there already, and whole: they travel with their head. What may be long in coming is not
  // waited for: the application may refuse it.
  if (body_left_ > 0 && body_left_ <= piece_bytes && ex_.header("Expect").empty()) {
    auto piece = co_await ex_.read_some();
    if (!piece)
      co_return std::move(piece.error());
    append_piece(*piece);
  }
  if (body_unsent_) {
    alone_ = false;
    co_await (send_body() || answer_meanwhile());
    reusable_ = reusable_ && sent_whole_;
  } else {
    auto sent = co_await up_->link.send({up_->out}, ex_.server().limits.write_timeout);
    if (sent == io_status::timed_out)
      co_return upstream_failure("the application does not read its requests");
    co_await answer_meanwhile();
  }
  release();
  if (failure_ && !answered_)
    co_return std::move(failure_);
  co_return caf::unit;
}

/// Returns when there is nobody to answer to any more.
io_task<void> forwarding::send_body() {
  const auto patience = ex_.server().limits.write_timeout;
  for (;;) {
    auto sent = co_await up_->link.send({up_->out}, patience);
    sent_whole_ = sent == io_status::ok && !body_unsent_;
    if (sent != io_status::ok || sent_whole_) // not taken: what was answered, if anything, is read to its end
      break;
    auto piece = co_await ex_.read_some();
    if (!piece) {
      if (!failure_) // else the other side has failed, and this reading was only cancelled
        failure_ = std::move(piece.error());
      co_return;
    }
    up_->out.clear();
    append_piece(*piece);
  }
  co_await ex_.hang_up();
  if (where_.node) {
    co_await up_->link.shutdown_send(patience);
    sent_whole_ = false;                            // the connection is for nobody else
    co_await routes::pause(std::chrono::hours{24}); // it answers, or ends, by itself
  }
  std::uint64_t before = 0;
  do { // one that only closed its side still takes its answer
    before = bytes_out_;
    co_await routes::pause(ex_.server().limits.departure_grace);
  } while (before != bytes_out_);
  failure_ = fail(errc::cancelled, "The client is gone");
}

io_task<void> forwarding::answer_meanwhile() {
  auto got = co_await read_head();
  if (got && *got == step::done) {
    co_await pass_back();
    co_return;
  }
  if (!failure_)
    failure_ = got ? upstream_failure("the application closed the connection without an answer")
                   : std::move(got.error());
}

io_task<result<void>> forward(exchange& ex, destination where) {
  forwarding passing{ex, std::move(where)};
  auto outcome = co_await passing.run();
  co_return outcome;
}

} // namespace sandy::http::ingress
