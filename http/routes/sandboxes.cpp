#include "http/routes/routes.hpp"

#include "http/codec/create.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/sandbox.hpp"
#include "http/nodes/placing.hpp"
#include "http/routes/common.hpp"
#include "http/routes/creating.hpp"
#include "http/routes/desktop.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

namespace sandy::http::routes {

namespace {

/// Nodes that have no room, or are not reached, before the client is told to come again.
constexpr unsigned most_refusals = 4;

io_task<result<void>> create_here(exchange& ex, codec::create_request request) {
  auto& message = request.message;
  auto& server = ex.server();
  auto with_desktop = co_await plan_desktop(ex, request);
  auto made = co_await ask_to_create(ex, message, server.limits.create_timeout);
  if (!made && code_of(made.error()) == errc::cancelled)
    co_return answered();
  if (!made)
    co_return made.error();
  if (with_desktop) {
    auto problem = co_await start_desktop(ex, *made, request);
    if (!problem.empty())
      request.warnings.push_back(std::move(problem));
  }
  auto warnings = std::move(request.warnings);
  for (auto& sentence : codec::differences(message, *made))
    warnings.push_back(std::move(sentence));
  if (server.ports_not_served)
    for (auto port : server.ports_not_served(made->expose_ports))
      warnings.push_back("Port " + std::to_string(port) + " cannot be listened on here: it is reached as " +
                         codec::public_url(server.address, made->id, port) + " instead.");
  co_await ex.reply(200, codec::to_json(*made, server.address, unix_now(), warnings));
  co_return answered();
}

io_task<result<void>> create_at(exchange& ex, const nodes::node_handle& node,
                                const codec::create_request& request, const std::string& text) {
  return node ? nodes::make_at(ex, node, text) : create_here(ex, request);
}

/// On the first node that can. @param text of the request
io_task<result<void>> create_somewhere(exchange& ex, codec::create_request request, std::string text) {
  auto candidates = nodes::nodes_for(ex, request.message);
  const auto alone = candidates.size() == 1;
  std::optional<caf::error> failure;
  unsigned refusals = 0;
  for (auto& node : candidates) {
    auto made = co_await create_at(ex, node, request, text);
    if (made)
      co_return made;
    const auto why = code_of(made.error());
    const auto unreached = node && why == errc::upstream_error;
    if (alone || !(unreached || nodes::is_worth_another(why)))
      co_return made;
    // One that has no room says more than one that lacks an image.
    if (why != errc::image_not_found || !failure)
      failure = std::move(made.error());
    if (why != errc::image_not_found && ++refusals == most_refusals)
      break;
  }
  if (failure && code_of(*failure) == errc::image_not_found)
    co_return std::move(*failure);
  co_return fail_for_now(errc::capacity_exhausted, "All upstreams failed to create sandbox: status 503", 1);
}

io_task<result<void>> create(exchange& ex) {
  auto text = co_await ex.read_body(ex.server().limits.json_body_bytes);
  if (!text)
    co_return text.error();
  auto body = codec::parse_object(*text);
  if (!body)
    co_return body.error();
  auto request = codec::parse_create(*body);
  if (!request)
    co_return request.error();
  auto& message = request->message;
  message.caller = ex.caller();
  if (message.parent.value.empty())
    message.parent.value = ex.header("X-Sandy-Parent");
  if (message.parent.value.empty())
    message.parent = parent_by_default(ex);
  auto outcome = co_await create_somewhere(ex, std::move(*request), std::move(*text));
  co_return outcome;
}

io_task<result<void>> reply_list(exchange& ex, list_sandboxes question) {
  auto& server = ex.server();
  const auto everywhere = server.nodes != nullptr && !ex.from_node() && question.parent.value.empty();
  auto asked = everywhere
                   ? ask(server.members, list_cluster_sandboxes{question}, server.limits.control_timeout)
                   : ask(server.worker, question, server.limits.control_timeout);
  auto all = co_await std::move(asked);
  if (!all)
    co_return all.error();
  if (everywhere)
    std::ranges::sort(*all, {}, [](const sandbox_info& each) { return std::tie(each.created_at, each.id); });
  co_await ex.reply(200, codec::to_json(*all, server.address, unix_now()));
  co_return answered();
}

io_task<result<void>> list(exchange& ex) { return reply_list(ex, {ex.caller(), {}}); }

io_task<result<void>> children(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto outcome = co_await reply_list(ex, {ex.caller(), *id});
  co_return outcome;
}

/// Asks a question that names a sandbox and is answered by its description.
template <class Question>
io_task<result<void>> reply_info(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto info = co_await ask(server.worker, Question{ex.caller(), *id}, server.limits.control_timeout);
  if (!info)
    co_return info.error();
  co_await ex.reply(200, codec::to_json(*info, server.address, unix_now()));
  co_return answered();
}

io_task<result<void>> terminate(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto ended =
      co_await ask(server.worker, terminate_sandbox{ex.caller(), *id}, server.limits.control_timeout);
  if (!ended)
    co_return ended.error();
  co_await ex.reply(200, codec::to_json(*ended));
  co_return answered();
}

io_task<result<void>> refresh(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_ttl);
  if (!asked)
    co_return asked.error();
  auto& server = ex.server();
  refresh_sandbox request{ex.caller(), asked->id, asked->body};
  auto info = co_await ask(server.worker, std::move(request), server.limits.control_timeout);
  if (!info)
    co_return info.error();
  std::vector<std::string> warnings;
  if (info->latest_end != 0 && info->expires_at == info->latest_end)
    warnings.emplace_back("The sandbox ends at its greatest age, whatever renews it.");
  co_await ex.reply(200, codec::to_json(*info, server.address, unix_now(), warnings));
  co_return answered();
}

io_task<result<void>> logs(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  std::uint32_t tail = 0;
  if (auto wanted = ex.query("tail"); wanted && !wanted->empty()) {
    auto count = codec::parse_count(*wanted);
    if (!count)
      co_return fail(errc::invalid_argument, "tail must be a number of lines");
    tail = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(*count, std::numeric_limits<std::uint32_t>::max()));
  }
  auto& server = ex.server();
  auto lines = co_await ask(server.worker, get_logs{ex.caller(), *id, tail}, server.limits.control_timeout);
  if (!lines)
    co_return lines.error();
  co_await ex.reply(200, codec::to_json(*lines));
  co_return answered();
}

io_task<result<void>> vnc(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto& server = ex.server();
  auto info = co_await ask(server.worker, get_sandbox{ex.caller(), *id}, server.limits.control_timeout);
  if (!info)
    co_return info.error();
  std::string resolution;
  bool ready = false;
  if (codec::has_desktop(*info) && info->paused == pause_cause::none) {
    auto running = co_await running_desktop(ex);
    if (!running)
      co_return running.error();
    resolution = running->value_or("");
    probe_port question{ex.caller(), *id, codec::desktop_port};
    auto listens = co_await ask(server.worker, std::move(question), server.limits.control_timeout);
    ready = !resolution.empty() && listens && *listens;
  }
  co_await ex.reply(200, codec::vnc_json(*info, server.address, resolution, ready));
  co_return answered();
}

} // namespace

void add_sandbox_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/api/sandboxes", answer<create>, false, request_cost::creation},
                             {"GET", "/api/sandboxes", answer<list>},
                             {"GET", "/api/sandboxes/{id}", answer<reply_info<get_sandbox>>},
                             {"DELETE", "/api/sandboxes/{id}", answer<terminate>},
                             {"POST", "/api/sandboxes/{id}/terminate", answer<terminate>},
                             {"POST", "/api/sandboxes/{id}/refresh", answer<refresh>},
                             {"POST", "/api/sandboxes/{id}/pause", answer<reply_info<pause_sandbox>>},
                             {"POST", "/api/sandboxes/{id}/resume", answer<reply_info<resume_sandbox>>},
                             {"GET", "/api/sandboxes/{id}/children", answer<children>},
                             {"GET", "/api/sandboxes/{id}/logs", answer<logs>},
                             {"GET", "/api/sandboxes/{id}/vnc", answer<vnc>}});
}

} // namespace sandy::http::routes
