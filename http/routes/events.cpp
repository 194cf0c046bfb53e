#include "http/routes/routes.hpp"

#include "http/codec/events.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/header_values.hpp"
#include "http/routes/common.hpp"
#include "http/routes/event_pump.hpp"

#include <nlohmann/json.hpp>

#include <variant>

namespace sandy::http::routes {

namespace {

/// Longest question to the log. A client that leaves is forgotten there after this at the latest.
constexpr std::uint32_t wait_ms = 10'000;
constexpr std::uint32_t most_per_answer = 1000;

struct life_gap {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};
struct life_end {};
using life_item = std::variant<life_event, life_gap, life_end>;

/// The events of the log as a stream: asks for the next page when the last one was taken.
class life_stream {
public:
  life_stream(exchange& ex, read_events question, bool follow)
      : ex_(ex)
      , question_(std::move(question)) {
    question_.wait_ms = follow ? wait_ms : 0;
  }

  io_task<result<life_item>> next() {
    while (taken_ == page_.events.size()) {
      if (ended_)
        co_return life_item{life_end{}};
      auto& server = ex_.server();
      auto timeout = server.limits.control_timeout + std::chrono::milliseconds{question_.wait_ms};
      auto page = co_await ask(server.events, question_, timeout);
      if (!page)
        co_return page.error();
      page_ = std::move(*page);
      taken_ = 0;
      question_.after = page_.next;
      if (page_.missing_to != 0)
        co_return life_item{life_gap{page_.missing_from, page_.missing_to}};
      ended_ = page_.events.empty() && (question_.wait_ms == 0 || page_.closing);
    }
    co_return life_item{std::move(page_.events[taken_++])};
  }

private:
  exchange& ex_;
  read_events question_;
  event_page page_;
  std::size_t taken_ = 0;
  bool ended_ = false;
};

/// An event's id is its number: a client resumes behind it.
struct life_text {
  bool add(std::string& out, life_item item) {
    if (auto* event = std::get_if<life_event>(&item)) {
      append_event(out,
                   {to_string(event->type), codec::to_json(*event).dump(), std::to_string(event->sequence)});
      return false;
    }
    if (auto* gap = std::get_if<life_gap>(&item)) {
      nlohmann::json data{{"from", gap->from}, {"to", gap->to}};
      append_event(out, {"gap", data.dump(), std::to_string(gap->to)});
      return false;
    }
    return true;
  }
  void flush(std::string&) {}
};

/// Every part of `a,b`, without white space around it; empty ones are left out.
std::vector<std::string_view> parts_of(std::string_view list) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    auto end = list.find(',');
    if (auto part = codec::trim(list.substr(0, end)); !part.empty())
      parts.push_back(part);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return parts;
}

result<read_events> question_of(const exchange& ex) {
  read_events question;
  question.caller = ex.caller();
  if (auto id = ex.query("sandbox_id"); id && !id->empty()) {
    if (!is_sandbox_id(*id))
      return fail(errc::invalid_argument, "sandbox_id is not the id of a sandbox");
    question.sandbox.value = *id;
  }
  auto types = ex.query("types").value_or("");
  for (auto name : parts_of(types)) {
    auto type = life_event_type_of(name);
    if (!type)
      return fail(errc::invalid_argument, "types names an unknown event: " + std::string{name});
    question.types.push_back(*type);
  }
  return question;
}

/// Where to begin: behind what a client that reconnects saw last, else behind `after`. None: at what comes
/// next.
result<std::optional<std::uint64_t>> begin_of(const exchange& ex) {
  auto text = std::string{ex.header("Last-Event-ID")};
  if (text.empty())
    text = ex.query("after").value_or("");
  if (text == "latest")
    return std::optional<std::uint64_t>{};
  if (text.empty())
    return std::optional<std::uint64_t>{0};
  auto number = codec::parse_count(text);
  if (!number)
    return fail(errc::invalid_argument, "after must be the number of an event, or latest");
  return std::optional<std::uint64_t>{*number};
}

result<std::uint32_t> limit_of(const exchange& ex) {
  auto text = ex.query("limit").value_or("");
  if (text.empty())
    return most_per_answer;
  auto number = codec::parse_count(text);
  if (!number || *number == 0 || *number > most_per_answer)
    return fail(errc::invalid_argument, "limit must lie between 1 and " + std::to_string(most_per_answer));
  return static_cast<std::uint32_t>(*number);
}

io_task<result<void>> events(exchange& ex) {
  auto question = question_of(ex);
  if (!question)
    co_return question.error();
  auto follow = query_flag(ex, "follow");
  if (!follow)
    co_return follow.error();
  auto limit = limit_of(ex);
  if (!limit)
    co_return limit.error();
  auto begin = begin_of(ex);
  if (!begin)
    co_return begin.error();
  auto& server = ex.server();
  if (*begin) {
    question->after = **begin;
  } else {
    auto newest = *question;
    newest.limit = 0;
    auto page = co_await ask(server.events, std::move(newest), server.limits.control_timeout);
    if (!page)
      co_return page.error();
    question->after = page->next;
  }
  auto accepted = ex.header("Accept");
  if (codec::accepts(accepted, "application/json") && !codec::accepts(accepted, "text/event-stream")) {
    question->limit = *limit;
    auto page = co_await ask(server.events, std::move(*question), server.limits.control_timeout);
    if (!page)
      co_return page.error();
    auto body = codec::to_json(*page);
    co_await ex.reply(200, body);
    co_return answered();
  }
  life_stream stream{ex, std::move(*question), follow->value_or(true)};
  life_text format;
  co_await send_events(ex, stream, format);
  co_return answered();
}

} // namespace

void add_event_routes(std::vector<route>& table) {
  table.push_back({"GET", "/api/events", answer<events>, false, request_cost::stream});
}

} // namespace sandy::http::routes
