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

bool is_event_stream(const client::upstream_answer& head) {
  return boost::beast::iequals(head.field("Content-Type").substr(0, 17), "text/event-stream");
}

} // namespace

chatting::attempt chatting::failed(std::string text, caf::error error) {
  failure_.text = std::move(text);
  failure_.error = std::move(error);
  return attempt::failed;
}

chatting::attempt chatting::too_slow() {
  return failed("Request timed out", fail(errc::deadline_exceeded, "Request timed out"));
}

io_task<chatting::attempt> chatting::take_head() {
  using state = client::call::head_state;
  for (;;) {
    auto head = call_->take_head();
    died_ = head && *head == state::died;
    if (!head)
      co_return failed("Connection error: " + text_of(head.error()), std::move(head.error()));
    if (died_)
      co_return failed("Connection error: the model closed the connection",
                       fail(errc::upstream_error, "Upstream error: the model closed the connection"));
    if (*head == state::there)
      break;
    auto what = co_await something(left(limits_.first_token, asked_));
    if (what == event::slow)
      co_return too_slow();
    if (what != event::ready)
      co_return interrupted();
  }
  auto status = call_->answer().status;
  auto how = co_await (status < 200 || status > 299 ? take_refusal()
                       : request_.stream            ? take_stream()
                                                    : take_whole());
  co_return how;
}

/// Reads why a backend does not answer, as far as it says so.
io_task<chatting::attempt> chatting::take_refusal() {
  const auto status = call_->answer().status;
  std::string said;
  while (said.size() < most_said) {
    auto got = call_->take();
    if (!got)
      break;
    said.append(got->bytes.substr(0, most_said - said.size()));
    if (got->last)
      break;
    if (!got->bytes.empty())
      continue;
    auto what = co_await something(limits_.silence);
    if (what == event::slow)
      break;
    if (what != event::ready)
      co_return interrupted();
  }
  auto number = std::to_string(status);
  failed("Error from competitor: " + number,
         fail(errc::upstream_error, "Competitor error (" + number + "): " + words_of(std::move(said))));
  failure_.refused = status >= 400 && status < 500 && status != 429 && status != 408;
  failure_.final = failure_.refused;
  failure_.asleep =
      std::ranges::find(sleepy, status) != sleepy.end() && clock::now() - asked_ < limits_.waking;
  co_return attempt::failed;
}

/// The first event is there.
void chatting::said_something() {
  model_.counted->first_token(std::chrono::duration<double>(clock::now() - started_).count());
}

io_task<chatting::attempt> chatting::take_stream() {
  out_.clear();
  lines_.break_off(out_); // of a backend that failed
  lines_ = {};
  for (auto begin = true;; begin = false) {
    if (!begin)
      out_.clear();
    const auto spoken = lines_.events() > 0;
    auto got = call_->take();
    if (got && !got->bytes.empty())
      lines_.feed(got->bytes, out_);
    const auto over = got && (got->last || lines_.done());
    if (over)
      lines_.finish(out_);
    if (!spoken && lines_.events() > 0)
      said_something();
    if (over && lines_.events() == 0)
      co_return failed("Connection error: the answer is no event stream",
                       fail(errc::upstream_error, "Competitor error: the answer is no event stream"));
    if (over) {
      auto how = co_await end_stream();
      co_return how;
    }
    if (!out_.empty()) {
      auto sent = co_await write(out_);
      if (!sent)
        co_return attempt::gone;
      continue;
    }
    if (!got) {
      auto text = code_of(got.error()) == errc::deadline_exceeded
                      ? std::string{"Request timed out"}
                      : "Connection error: " + text_of(got.error());
      if (!spoken)
        co_return failed(std::move(text), std::move(got.error()));
      auto how = co_await tell(std::move(text));
      co_return how;
    }
    if (!got->bytes.empty())
      continue;
    auto what = co_await something(spoken ? limits_.between : left(limits_.first_token, asked_));
    if (what == event::ready)
      continue;
    if (what == event::gone)
      co_return attempt::gone;
    if (!spoken)
      co_return what == event::slow ? too_slow() : interrupted();
    auto how = co_await tell(what == event::slow ? "Request timed out" : "The server is stopping.");
    co_return how;
  }
}

/// All is said: ends the stream, and lets the backend end its own.
io_task<chatting::attempt> chatting::end_stream() {
  out_.append("data: [DONE]\n\n");
  auto sent = co_await write(out_);
  if (!sent)
    co_return attempt::gone;
  co_await sink_.end();
  outcome_ = metrics::chat_outcome::answered;
  if (auto used = tokens_in(lines_.usage_line()); used.prompt + used.completion > 0)
    model_.counted->tokens(used.prompt, used.completion);
  const auto until = clock::now() + parting;
  for (auto status = io_status::ok; status == io_status::ok && clock::now() < until;) {
    auto got = call_->take();
    if (!got || got->last)
      break;
    if (got->bytes.empty())
      status = co_await call_->wait(parting);
  }
  co_return attempt::answered;
}

io_task<chatting::attempt> chatting::take_whole() {
  std::string text;
  auto wrong = [&](const char* what) {
    return failed("", fail(errc::upstream_error, std::string{"Competitor error: the answer "} + what));
  };
  for (;;) {
    auto got = call_->take();
    if (!got)
      co_return failed("", std::move(got.error()));
    if (text.size() + got->bytes.size() > limits_.answer_bytes)
      co_return wrong("is too large");
    if (text.empty() && !got->bytes.empty())
      said_something();
    text.append(got->bytes);
    if (got->last)
      break;
    if (!got->bytes.empty())
      continue;
    auto what = co_await something(text.empty() ? left(limits_.first_token, asked_) : limits_.between);
    if (what == event::slow)
      co_return too_slow();
    if (what != event::ready)
      co_return interrupted();
  }
  auto answer = read_answer(text, ids_.request);
  if (!answer)
    co_return wrong(is_event_stream(call_->answer()) ? "is an event stream" : "is no JSON object");
  model_.counted->tokens(answer->used.prompt, answer->used.completion);
  outcome_ = metrics::chat_outcome::answered;
  co_await sink_.answer(std::move(answer->text));
  co_return attempt::answered;
}

std::string chatting::error_chunk(const std::string& text) const {
  json delta{{"content", text}};
  if (lines_.events() == 0)
    delta["role"] = "assistant";
  json chunk{{"id", ids_.request},
             {"object", "chat.completion.chunk"},
             {"created", unix_now() / 1000},
             {"model", request_.model},
             {"choices", {{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", "stop"}}}}};
  return "data: " + chunk.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
}

/// Says in the stream why it ends.
io_task<chatting::attempt> chatting::tell(std::string text) {
  outcome_ = metrics::chat_outcome::broken;
  auto there = co_await begin();
  if (!there)
    co_return attempt::gone;
  auto told = co_await sink_.broke(text);
  if (told)
    co_return attempt::answered;
  out_.clear();
  lines_.break_off(out_);
  out_.append(error_chunk(text)).append("data: [DONE]\n\n");
  auto sent = co_await write(out_);
  if (sent)
    co_await sink_.end();
  co_return attempt::answered;
}

} // namespace sandy::http::gateway
