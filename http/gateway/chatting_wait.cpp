#include "http/gateway/chatting.hpp"

#include "http/routes/common.hpp"
#include "http/shard.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway {

// What is done while a backend takes its time.

using std::chrono::milliseconds;

namespace {

// How often whoever waits for a backend looks for its client and at the server's end. Watching both all the
// time would cost each token of a stream more than passing it on does.
constexpr milliseconds glance{250};

constexpr std::string_view ping = ": ping\n\n";

} // namespace

bool chatting::is_client_gone() {
  if (!ex_.has_hung_up())
    return false;
  // A client that only closed its side of the connection still waits for a whole answer.
  if (!closed_since_)
    closed_since_ = clock::now();
  gone_ = request_.stream || clock::now() - *closed_since_ >= ex_.server().limits.departure_grace;
  return gone_;
}

/// What is left of a limit; at least a millisecond, because 0 would be for ever.
milliseconds chatting::left(milliseconds limit, clock::time_point since) const {
  auto until = std::min(since + limit, started_ + limits_.total);
  return std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(until - clock::now()));
}

milliseconds chatting::until_comment() const {
  if (!request_.stream)
    return limits_.total;
  return std::max(milliseconds{1},
                  std::chrono::ceil<milliseconds>(last_sent_ + limits_.silence - clock::now()));
}

io_task<bool> chatting::begin() {
  if (begun_)
    co_return true;
  begun_ = true;
  auto begun = co_await sink_.begin();
  gone_ = gone_ || !begun;
  co_return static_cast<bool>(begun);
}

io_task<bool> chatting::write(std::string_view text) {
  auto there = co_await begin();
  if (!there)
    co_return false;
  last_sent_ = clock::now();
  auto whole_text = std::exchange(left_over_, {});
  if (!whole_text.empty())
    text = whole_text.append(text);
  auto sent = co_await sink_.write(text);
  gone_ = gone_ || !sent;
  if (!sent && code_of(sent.error()) != errc::cancelled) // what the model says is nothing to pass on
    outcome_ = metrics::chat_outcome::broken;
  co_return static_cast<bool>(sent);
}

io_task<void> chatting::client_leaves() {
  // A client that only closed its side of the connection still waits for a whole answer.
  return request_.stream ? ex_.hang_up() : routes::long_gone(ex_);
}

/// Waits until the backend says something, for as long as `limit`. The client gets its comments. A backend
/// that says a little all the time is not waited for any longer than others.
io_task<chatting::event> chatting::something(attempt& one, milliseconds limit) {
  const auto since = clock::now();
  if (racing_) { // and the race is accompanied
    if (limit.count() <= 1)
      co_return event::slow;
    auto status = co_await one.call->wait(left(limit, since));
    co_return status == io_status::timed_out ? event::slow : event::ready;
  }
  for (;;) {
    if (ex_.home().grace_over.came())
      co_return event::stopping;
    if (left(limit, since).count() <= 1)
      co_return event::slow;
    if (clock::now() - glanced_ >= glance) {
      glanced_ = clock::now();
      if (is_client_gone())
        co_return event::gone;
    }
    if (until_comment().count() <= 1) {
      if (!one.lines.between_lines()) {
        last_sent_ = clock::now(); // a comment would become a part of the line
      } else if (auto sent = co_await write(ping); !sent) {
        co_return event::gone;
      }
    }
    auto status = co_await one.call->wait(std::min({glance, left(limit, since), until_comment()}));
    if (status != io_status::timed_out)
      co_return event::ready; // a connection that was closed says so when it is read from
  }
}

/// Returns when the client is gone, or the server stops.
/// @param over what is accompanied is done
io_task<void> chatting::company(const bool& over) {
  using boost::asio::experimental::awaitable_operators::operator||;
  while (!ex_.home().grace_over.came()) {
    auto pause = rest(until_comment());
    auto leaving = client_leaves();
    auto stopping = ex_.home().grace_over.wait();
    auto first = co_await (std::move(pause) || std::move(leaving) || std::move(stopping));
    gone_ = first.index() == 1;
    if (first.index() != 0)
      co_return;
    if (!request_.stream)
      continue;
    auto sent = co_await whole(write(ping));
    if (!sent || over)
      co_return;
  }
}

io_task<bool> chatting::rest(milliseconds time) {
  co_await routes::pause(time);
  co_return true;
}

} // namespace sandy::http::gateway
