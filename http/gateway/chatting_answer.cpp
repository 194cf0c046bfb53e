#include "http/gateway/chatting.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/utf8.hpp"
#include "http/gateway/whole_answer.hpp"
#include "http/shard.hpp"
#include "messages/events.hpp"

#include <nlohmann/json.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace sandy::http::gateway {

// What one backend answers.

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

// Of what a backend says about a failure.
constexpr std::size_t most_said = 4 * 1024;
constexpr std::size_t most_told = 200;
// For a backend to end its answer properly, when its last event was there: then the connection is kept.
constexpr milliseconds parting{10};

// That are kept of who is raced against another. Who has more of them has spoken.
constexpr std::size_t most_comments = 64 * 1024;

constexpr std::array<unsigned, 4> sleepy{429, 502, 503, 504};

/// What a backend said of its failure, in a few words.
std::string words_of(std::string said) {
  auto body = codec::parse_untrusted(said);
  if (body.is_object()) {
    auto detail = body.value("detail", json{});
    auto error = body.value("error", json{});
    auto message = error.is_object() ? error.value("message", json{}) : error;
    if (detail.is_string())
      said = detail.get<std::string>();
    else if (message.is_string())
      said = message.get<std::string>();
  }
  said = codec::repair_utf8(std::move(said));
  if (said.size() > most_told)
    said.resize(codec::utf8_prefix(std::string_view{said}.substr(0, most_told)));
  return std::string{codec::trim(said)};
}

/// What a stream says of its model's connection.
std::string words_of(const caf::error& why) {
  return code_of(why) == errc::deadline_exceeded ? "Request timed out" : "Connection error: " + text_of(why);
}

bool is_event_stream(const client::upstream_answer& head) {
  return boost::beast::iequals(head.field("Content-Type").substr(0, 17), "text/event-stream");
}

} // namespace

chatting::outcome chatting::failed(trouble& why, std::string text, caf::error error) {
  why.text = std::move(text);
  why.error = std::move(error);
  return outcome::failed;
}

chatting::outcome chatting::too_slow(attempt& one) {
  return failed(one.why, "Request timed out", fail(errc::deadline_exceeded, "Request timed out"));
}

io_task<chatting::outcome> chatting::take_head(attempt& one) {
  using state = client::call::head_state;
  for (;;) {
    auto head = one.call->take_head();
    one.died = head && *head == state::died;
    if (!head)
      co_return failed(one.why, "Connection error: " + text_of(head.error()), std::move(head.error()));
    if (one.died)
      co_return failed(one.why, "Connection error: the model closed the connection",
                       fail(errc::upstream_error, "Upstream error: the model closed the connection"));
    if (*head == state::there)
      break;
    auto what = co_await something(one, left(limits_.first_token, one.asked));
    if (what == event::slow)
      co_return too_slow(one);
    if (what != event::ready)
      co_return interrupted(one.why);
  }
  auto status = one.call->answer().status;
  auto how = co_await (status < 200 || status > 299 ? take_refusal(one) : first_word(one));
  co_return how;
}

/// Reads why a backend does not answer, as far as it says so.
io_task<chatting::outcome> chatting::take_refusal(attempt& one) {
  const auto status = one.call->answer().status;
  std::string said;
  while (said.size() < most_said) {
    auto got = one.call->take();
    if (!got)
      break;
    said.append(got->bytes.substr(0, most_said - said.size()));
    if (got->last)
      break;
    if (!got->bytes.empty())
      continue;
    auto what = co_await something(one, limits_.silence);
    if (what == event::slow)
      break;
    if (what != event::ready)
      co_return interrupted(one.why);
  }
  auto number = std::to_string(status);
  failed(one.why, "Error from competitor: " + number,
         fail(errc::upstream_error, "Competitor error (" + number + "): " + words_of(std::move(said))));
  one.why.refused = status >= 400 && status < 500 && status != 429 && status != 408;
  one.why.final = one.why.refused;
  one.why.sound = true;
  one.why.asleep =
      std::ranges::find(sleepy, status) != sleepy.end() && clock::now() - one.asked < limits_.waking;
  co_return outcome::failed;
}

/// Takes what has come. @returns whether that was anything
result<bool> chatting::hear(attempt& one) {
  auto got = one.call->take();
  if (!got)
    return std::move(got.error());
  one.all = got->last;
  if (request_.stream) {
    one.lines.feed(got->bytes, one.said);
    one.all = one.all || one.lines.done();
    if (one.all)
      one.lines.finish(one.said);
  } else {
    if (one.said.size() + got->bytes.size() > limits_.answer_bytes)
      return fail(errc::upstream_error, "Competitor error: the answer is too large");
    one.said.append(got->bytes);
  }
  return !got->bytes.empty();
}

/// Waits for the first event of a stream, or for the first byte of a whole answer.
io_task<chatting::outcome> chatting::first_word(attempt& one) {
  for (;;) {
    auto heard = hear(one);
    auto speaks = request_.stream ? one.lines.events() > 0 : !one.said.empty();
    if (speaks || (racing_ && one.said.size() > most_comments))
      co_return outcome::speaks;
    if (!heard)
      co_return failed(one.why, words_of(heard.error()), std::move(heard.error()));
    if (one.all) {
      auto what =
          request_.stream ? std::string{"the answer is no event stream"} : "the answer is no JSON object";
      co_return failed(one.why, "Connection error: " + what,
                       fail(errc::upstream_error, "Competitor error: " + what));
    }
    if (!one.said.empty() && !racing_) { // comments of its own
      auto sent = co_await pass_on(one);
      if (!sent)
        co_return outcome::gone;
      continue;
    }
    if (*heard)
      continue;
    auto what = co_await something(one, left(limits_.first_token, one.asked));
    if (what == event::slow)
      co_return too_slow(one);
    if (what != event::ready)
      co_return interrupted(one.why);
  }
}

/// Sends the client what was heard of a stream.
io_task<bool> chatting::pass_on(attempt& one) {
  spoken_ = spoken_ || one.lines.events() > 0;
  auto sent = co_await write(one.said);
  one.said.clear();
  co_return sent;
}

/// From the first event on.
io_task<chatting::outcome> chatting::take_stream(attempt& one) {
  model_.counted->first_token(std::chrono::duration<double>(clock::now() - started_).count());
  while (!one.all) {
    if (!one.said.empty()) {
      auto sent = co_await pass_on(one);
      if (!sent)
        co_return outcome::gone;
    }
    auto heard = hear(one);
    if (!heard) {
      auto how = co_await break_off(one, words_of(heard.error()));
      co_return how;
    }
    if (one.all || *heard)
      continue;
    auto what = co_await something(one, limits_.between);
    if (what == event::ready)
      continue;
    if (what == event::gone)
      co_return outcome::gone;
    one.why.sound = what == event::stopping;
    auto how = co_await break_off(one, what == event::slow ? "Request timed out" : "The server is stopping.");
    co_return how;
  }
  auto how = co_await end_stream(one);
  co_return how;
}

/// All is said: ends the stream, and lets the backend end its own.
io_task<chatting::outcome> chatting::end_stream(attempt& one) {
  one.said.append("data: [DONE]\n\n");
  auto sent = co_await pass_on(one);
  if (!sent)
    co_return outcome::gone;
  co_await sink_.end();
  outcome_ = metrics::chat_outcome::answered;
  if (auto used = tokens_in(one.lines.usage_line()); used.prompt + used.completion > 0)
    model_.counted->tokens(used.prompt, used.completion);
  const auto until = clock::now() + parting;
  for (auto status = io_status::ok; status == io_status::ok && clock::now() < until;) {
    auto got = one.call->take();
    if (!got || got->last)
      break;
    if (got->bytes.empty())
      status = co_await one.call->wait(parting);
  }
  co_return outcome::answered;
}

/// From the first byte on.
io_task<chatting::outcome> chatting::take_whole(attempt& one) {
  model_.counted->first_token(std::chrono::duration<double>(clock::now() - started_).count());
  while (!one.all) {
    auto heard = hear(one);
    if (!heard)
      co_return failed(one.why, "", std::move(heard.error()));
    if (one.all || *heard)
      continue;
    auto what = co_await something(one, limits_.between);
    if (what == event::slow)
      co_return too_slow(one);
    if (what != event::ready)
      co_return interrupted(one.why);
  }
  auto answer = read_answer(one.said, ids_.request);
  if (!answer)
    co_return failed(one.why, "",
                     is_event_stream(one.call->answer())
                         ? fail(errc::upstream_error, "Competitor error: the answer is an event stream")
                         : std::move(answer.error()));
  model_.counted->tokens(answer->used.prompt, answer->used.completion);
  outcome_ = metrics::chat_outcome::answered;
  co_await sink_.answer(std::move(answer->text));
  co_return outcome::answered;
}

std::string chatting::error_chunk(const std::string& text) const {
  json delta{{"content", text}};
  if (!spoken_)
    delta["role"] = "assistant";
  json chunk{{"id", ids_.request},
             {"object", "chat.completion.chunk"},
             {"created", unix_now() / 1000},
             {"model", request_.model},
             {"choices", {{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", "stop"}}}}};
  return "data: " + chunk.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
}

/// The backend will not say the rest.
io_task<chatting::outcome> chatting::break_off(attempt& one, std::string text) {
  one.lines.break_off(left_over_);
  auto how = co_await tell(std::move(text));
  co_return how;
}

/// Says in the stream why it ends.
io_task<chatting::outcome> chatting::tell(std::string text) {
  outcome_ = metrics::chat_outcome::broken;
  auto there = co_await begin();
  if (!there)
    co_return outcome::gone;
  auto told = co_await sink_.broke(text);
  if (told)
    co_return outcome::answered;
  auto last = error_chunk(text) + "data: [DONE]\n\n";
  auto sent = co_await write(last);
  if (sent)
    co_await sink_.end();
  co_return outcome::answered;
}

} // namespace sandy::http::gateway
