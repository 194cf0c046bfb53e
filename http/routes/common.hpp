#pragma once

#include "coro/ask.hpp"
#include "http/context.hpp"
#include "http/exchange.hpp"
#include "http/timed.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sandy::http::routes {

/// The body of a handler: what it fails with, before it answered, becomes the answer.
using body = io_task<result<void>> (*)(exchange& ex);

/// Makes a handler of such a function.
template <body Body>
io_task<void> answer(exchange& ex) {
  auto outcome = co_await Body(ex);
  if (!outcome)
    co_await ex.reply_error(outcome.error());
}

/// Done: answered, or the client is gone. Reads better than what it is.
inline result<void> answered() { return caf::unit; }

/// The sandbox that `{id}` names. Fails with sandbox_not_found for what cannot be an id.
result<sandbox_id> named_sandbox(const exchange& ex);

/// Fails with forbidden for callers without an administrator's key.
result<void> must_be_admin(const exchange& ex);

/// The data plane of the sandbox that `{id}` names; counts as activity. Fails with sandbox_not_found and
/// sandbox_failed.
io_task<result<std::shared_ptr<sandbox_io>>> open_io(exchange& ex);

/// The body as a JSON object; an empty one is {}.
io_task<result<nlohmann::json>> read_json(exchange& ex);

/// A request about one sandbox.
template <class T>
struct about_sandbox {
  sandbox_id id;
  T body;
};

/// The sandbox that `{id}` names, and the JSON body as `parse` reads it.
template <class T>
io_task<result<about_sandbox<T>>> read_about_sandbox(exchange& ex,
                                                     result<T> (*parse)(const nlohmann::json& body)) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  auto parsed = parse(*body);
  if (!parsed)
    co_return parsed.error();
  co_return about_sandbox<T>{std::move(*id), std::move(*parsed)};
}

/// A query parameter that is a switch: absent is none, bare or true-like is true. Fails with
/// invalid_argument.
result<std::optional<bool>> query_flag(const exchange& ex, std::string_view name);

/// The query parameter `path`. Fails with validation_failed when it is missing, with invalid_argument when it
/// is no path.
result<std::string> query_path(const exchange& ex);
/// The same, with /workspace for a missing one.
result<std::string> query_directory(const exchange& ex);

inline constexpr boost::asio::use_awaitable_t<io_executor> use_io;

/// Returns after `time`.
io_task<void> pause(std::chrono::milliseconds time);

/// The outcome of `work`, or deadline_exceeded: then the work is cancelled.
template <class T>
io_task<result<T>> within(io_task<result<T>> work, std::chrono::milliseconds time) {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto timer = pause(time);
  auto first = co_await (std::move(work) || std::move(timer));
  if (first.index() == 1)
    co_return fail(errc::deadline_exceeded, "The sandbox did not answer in time");
  co_return std::move(std::get<0>(first));
}

/// The same, with the deadline of an ordinary question to a sandbox.
template <class T>
io_task<result<T>> soon(exchange& ex, io_task<result<T>> work) {
  return within(std::move(work), ex.server().limits.control_timeout);
}

/// Returns when the client has been gone for a while. A client that only closed its side of the connection
/// still waits for its answer: it gets the time for it.
io_task<void> long_gone(exchange& ex);

/// The outcome of `work`, or cancelled when the client is gone: for what may wait for a process for ever.
template <class T>
io_task<result<T>> while_there(exchange& ex, io_task<result<T>> work) {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto leaving = long_gone(ex);
  auto first = co_await (std::move(work) || std::move(leaving));
  if (first.index() == 1)
    co_return fail(errc::cancelled, "The client is gone");
  co_return std::move(std::get<0>(first));
}

/// Sends text as the inside of a JSON string, in pieces. The text is UTF-8.
io_task<result<void>> write_escaped(exchange& ex, std::string_view text);

/// Headers of an event stream: nobody on the way may keep or delay events.
header_list event_stream_headers();

} // namespace sandy::http::routes
