#include "http/codec/container.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/utf8.hpp"
#include "http/ingress/forward.hpp"
#include "http/routes/common.hpp"
#include "http/routes/container_chat.hpp"
#include "http/routes/event_pump.hpp"
#include "http/routes/process_events.hpp"
#include "http/routes/routes.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <deque>

namespace sandy::http::routes {

namespace {

/// Making one, and waiting until it is healthy.
constexpr std::chrono::seconds run_timeout{90};
/// Its grace, and what killing takes.
constexpr std::chrono::seconds stop_margin{30};

/// What a log answers with that names no number.
constexpr std::uint64_t usual_lines = 200;
constexpr std::uint64_t most_lines = 10'000;
/// The longest line that is shown as one.
constexpr std::size_t longest_line = 16 * 1024;
/// Of all lines that are shown: more than a container's log keeps.
constexpr std::size_t most_bytes = 1024 * 1024;

result<container_id> named_container(const exchange& ex) {
  auto name = ex.param("cid");
  if (!is_container_id(name))
    return fail(errc::container_not_found, "The sandbox has no such container");
  return container_id{std::string{name}};
}

/// The containers' answers are those of the worker; errors too.
template <class Request>
io_task<result<void>> reply_container(exchange& ex, Request request, std::chrono::milliseconds timeout) {
  auto info = co_await ask(ex.server().worker, std::move(request), timeout);
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::to_json(*info));
  co_return answered();
}

io_task<result<void>> run(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_container);
  if (!asked)
    co_return asked.error();
  run_container request{ex.caller(), asked->id, std::move(asked->body)};
  auto outcome = co_await reply_container(ex, std::move(request), run_timeout);
  co_return outcome;
}

io_task<result<void>> list(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  list_containers request{ex.caller(), *id};
  auto outcome = co_await reply_container(ex, std::move(request), ex.server().limits.control_timeout);
  co_return outcome;
}

io_task<result<void>> get(exchange& ex) {
  auto info = co_await opened_container(ex);
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::to_json(*info));
  co_return answered();
}

io_task<result<void>> stop(exchange& ex) {
  auto container = named_container(ex);
  auto asked = co_await read_about_sandbox(ex, codec::parse_stop);
  if (!asked)
    co_return asked.error();
  if (!container)
    co_return container.error();
  stop_container request{ex.caller(), asked->id, *container, asked->body};
  auto timeout = std::chrono::seconds{asked->body} + stop_margin;
  auto outcome = co_await reply_container(ex, std::move(request), timeout);
  co_return outcome;
}

io_task<result<void>> remove(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto container = named_container(ex);
  if (!container)
    co_return container.error();
  remove_container request{ex.caller(), *id, *container};
  auto outcome = co_await reply_container(ex, std::move(request), ex.server().limits.control_timeout);
  co_return outcome;
}

/// The last lines of what a program printed, both streams in the order they were read.
class tail_text {
public:
  explicit tail_text(std::uint64_t most)
      : most_(most) {}
  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      auto end = bytes.find('\n');
      auto part = bytes.substr(0, end);
      part = part.substr(0, std::min(part.size(), longest_line - open_.size()));
      open_ += part;
      if (end == std::string_view::npos)
        return;
      finish();
      bytes.remove_prefix(end + 1);
    }
  }
  nlohmann::json lines() {
    if (!open_.empty())
      finish();
    auto list = nlohmann::json::array();
    for (const auto& each : lines_)
      list.push_back(codec::repair_utf8(each));
    return list;
  }

private:
  void finish() {
    bytes_ += open_.size();
    lines_.push_back(std::move(open_));
    open_.clear();
    while (lines_.size() > most_ || bytes_ > most_bytes) {
      bytes_ -= lines_.front().size();
      lines_.pop_front();
    }
  }
  std::uint64_t most_;
  std::deque<std::string> lines_;
  std::size_t bytes_ = 0;
  std::string open_;
};

io_task<result<nlohmann::json>> read_tail(std::shared_ptr<sandbox_io> io, std::uint32_t process,
                                          std::uint64_t most) {
  tail_text text{most};
  // Up to what it has printed by now: a program may print faster than we read.
  auto about = co_await io->process(process);
  if (!about)
    co_return std::move(about.error());
  const auto end = about->output_bytes;
  auto stream = co_await io->output(process, 0, false);
  if (!stream)
    co_return std::move(stream.error());
  for (;;) {
    auto event = co_await (*stream)->next();
    if (!event)
      co_return std::move(event.error());
    if (auto* chunk = std::get_if<output_chunk>(&*event)) {
      text.add(chunk->bytes);
      if (chunk->offset + chunk->bytes.size() >= end)
        co_return text.lines();
    } else if (!std::holds_alternative<output_gap>(*event)) {
      co_return text.lines();
    }
  }
}

result<std::uint64_t> wanted_lines(const exchange& ex) {
  auto wanted = ex.query("tail");
  if (!wanted || wanted->empty())
    return usual_lines;
  auto count = codec::parse_count(*wanted);
  if (!count)
    return fail(errc::invalid_argument, "tail must be a number of lines");
  return *count == 0 ? most_lines : std::min(*count, most_lines);
}

io_task<result<void>> logs(exchange& ex) {
  auto most = wanted_lines(ex);
  if (!most)
    co_return most.error();
  auto follow = query_flag(ex, "follow");
  if (!follow)
    co_return follow.error();
  auto info = co_await opened_container(ex);
  if (!info)
    co_return info.error();
  auto io = ex.server().data.find({info->id.value});
  if (!io || info->process_id == 0) { // what it printed went with it
    co_await ex.reply(200, {{"container_id", info->id.value}, {"lines", nlohmann::json::array()}});
    co_return answered();
  }
  if (follow->value_or(false)) {
    auto stream = co_await io->output(info->process_id, 0, true);
    if (!stream)
      co_return stream.error();
    process_event_text format;
    co_await send_events(ex, **stream, format);
    co_return answered();
  }
  auto lines = co_await soon(ex, read_tail(std::move(io), info->process_id, *most));
  if (!lines)
    co_return lines.error();
  nlohmann::json body{{"container_id", info->id.value}, {"lines", std::move(*lines)}};
  co_await ex.reply(200, body);
  co_return answered();
}

/// What the container answers, as it is.
io_task<result<void>> pass_on(exchange& ex, std::string target) {
  auto info = co_await opened_container(ex);
  if (!info)
    co_return info.error();
  auto guest = co_await ingress::enter(ex, info->sandbox);
  if (!guest)
    co_return std::move(guest.error());
  ingress::passed_request request{std::move(target), "localhost:" + std::to_string(info->port),
                                  std::string{ex.header("Host")}, true};
  ingress::destination where{std::move(*guest), info->port, std::move(request)};
  auto outcome = co_await ingress::forward(ex, std::move(where));
  co_return outcome;
}

io_task<result<void>> health(exchange& ex) { return pass_on(ex, "/health"); }
io_task<result<void>> models(exchange& ex) { return pass_on(ex, "/v1/models"); }

} // namespace

io_task<result<container_info>> opened_container(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto container = named_container(ex);
  if (!container)
    co_return container.error();
  auto& server = ex.server();
  auto info =
      co_await ask(server.worker, get_container{ex.caller(), *id, *container}, server.limits.control_timeout);
  co_return info;
}

void add_container_routes(std::vector<route>& table) {
  table.insert(
      table.end(),
      {{"POST", "/api/sandboxes/{id}/container/run", answer<run>},
       {"GET", "/api/sandboxes/{id}/container", answer<list>},
       {"GET", "/api/sandboxes/{id}/container/{cid}", answer<get>},
       {"DELETE", "/api/sandboxes/{id}/container/{cid}", answer<remove>},
       {"POST", "/api/sandboxes/{id}/container/{cid}/stop", answer<stop>},
       {"GET", "/api/sandboxes/{id}/container/{cid}/logs", answer<logs>, false, request_cost::stream},
       {"GET", "/api/sandboxes/{id}/container/{cid}/health", answer<health>},
       {"GET", "/api/sandboxes/{id}/container/{cid}/v1/models", answer<models>},
       {"POST", "/api/sandboxes/{id}/container/{cid}/chat", answer<chat>, false, request_cost::stream}});
}

} // namespace sandy::http::routes
