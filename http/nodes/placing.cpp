#include "http/nodes/placing.hpp"

#include "http/client/call.hpp"
#include "http/context.hpp"
#include "http/ingress/passed_head.hpp"
#include "http/nodes/placement.hpp"
#include "http/request_head.hpp"
#include "http/shard.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <random>

namespace sandy::http::nodes {

namespace {

using boost::asio::experimental::awaitable_operators::operator||;

/// A description of a sandbox, with as many warnings as its request had mistakes.
constexpr std::uint64_t most_bytes = 64 * 1024 * 1024;
/// Until a node of the cluster, which is near, takes a connection.
constexpr std::chrono::seconds connect_timeout{3};
/// For the node's own time limit to come first, that of a desktop's start included.
constexpr std::chrono::seconds margin{60};

std::size_t random_below(std::size_t bound) {
  thread_local std::minstd_rand source{std::random_device{}()};
  return std::uniform_int_distribution<std::size_t>{0, bound - 1}(source);
}

caf::error not_reached() {
  return fail(errc::upstream_error, "Upstream error: the node of the sandbox cannot be reached");
}

/// Nobody knows whether the node has made it. Where it has, it undoes that when it finds us gone; another one
/// must not make it again.
io_task<result<void>> give_up(exchange& ex) {
  co_await ex.reply_error(fail(errc::upstream_error, "Upstream error: the node broke the creation off"));
  co_return caf::unit;
}

/// What a node has refused for a reason that is worth another one.
std::optional<caf::error> refusal_in(unsigned status, std::string_view body) {
  if (status == 503)
    return fail(errc::capacity_exhausted, "All upstreams failed to create sandbox: status 503");
  if (status != 404)
    return std::nullopt;
  auto told = nlohmann::json::parse(body, nullptr, false);
  const nlohmann::json::json_pointer code{"/error/code"};
  if (!told.is_object() || !told.contains(code) || told[code] != to_string(errc::image_not_found))
    return std::nullopt;
  return fail(errc::image_not_found, told.value("detail", std::string{"There is no image of this name"}));
}

node_handle here_or(node_handle node) { return node->self ? nullptr : std::move(node); }

} // namespace

std::vector<node_handle> nodes_for(exchange& ex, const create_sandbox& wanted) {
  auto* directory = ex.server().nodes;
  if (directory == nullptr || ex.from_node())
    return {nullptr};
  auto table = directory->with_sent();
  const auto& parent = wanted.parent.value.empty() ? wanted.caller.sandbox : wanted.parent;
  if (!parent.value.empty()) {
    const auto* node = is_sandbox_id(parent.value) ? table->find(node_of(parent)) : nullptr;
    return {node == nullptr ? nullptr : here_or({table, node})};
  }
  std::vector<node_handle> all;
  for (auto& each : placement(table, {wanted.upstream, wanted.flavor}, random_below))
    all.push_back(here_or(std::move(each)));
  if (!all.empty()) { // the first takes nearly every one
    const auto* own = table->self();
    if (const auto* chosen = all.front() ? all.front().get() : own; chosen != nullptr)
      directory->sent(chosen->card.id);
  }
  return all;
}

bool is_worth_another(errc why) noexcept {
  switch (why) {
  case errc::capacity_exhausted:
  case errc::shutting_down:
  case errc::image_not_found: // one that was made from a sandbox is where that was
    return true;
  default:
    return false;
  }
}

io_task<result<void>> make_at(exchange& ex, node_handle to, std::string_view body) {
  const auto& card = to->card;
  if (card.state == node_state::unreachable)
    co_return not_reached();
  client::patience limits;
  limits.connect = connect_timeout;
  limits.first_byte = ex.server().limits.create_timeout + margin;
  client::call asked{ex.home(), client::address::of_node(card.host, card.port), limits};
  std::string fields;
  ingress::append_fields_for_node(fields, ex.head(), known_of(ex));
  client::request question{"POST", ex.head().target(), fields};
  // When the client hangs up so do we, and the node undoes what it made.
  auto work = asked.ask(question, body);
  auto first = co_await (std::move(work) || ex.hang_up());
  if (first.index() == 1)
    co_return fail(errc::cancelled, "The client is gone");
  if (auto& got = std::get<0>(first); !got && !asked.connected())
    co_return not_reached();
  else if (!got)
    co_return co_await give_up(ex);
  const auto status = asked.answer().status;
  auto text = co_await asked.read_all(most_bytes);
  if (!text)
    co_return co_await give_up(ex);
  if (auto refused = refusal_in(status, *text))
    co_return std::move(*refused);
  std::string back;
  ingress::append_answer_fields(back, asked.answer(), ex.home().date(), false);
  ex.begin_passed({status, asked.answer().reason(), back, text->size()});
  co_await ex.write(*text);
  co_await ex.end_stream();
  co_return caf::unit;
}

result<void> may_create(const context& server, const sandbox_id& beside) {
  if (server.nodes == nullptr)
    return caf::unit;
  auto table = server.nodes->now();
  const auto* self = table->self();
  if (self == nullptr)
    return caf::unit;
  if (self->card.role == node_role::controller && !beside.value.empty())
    return no_such_sandbox(); // none is here
  if (self->card.role == node_role::controller)
    return fail(errc::capacity_exhausted, "This node is a controller, and holds no sandboxes");
  if (self->card.state == node_state::draining)
    return fail_for_now(errc::capacity_exhausted, "This node is being drained", 30);
  if (self->card.state == node_state::cordoned && beside.value.empty())
    return fail_for_now(errc::capacity_exhausted, "This node is cordoned", 30);
  return caf::unit;
}

} // namespace sandy::http::nodes
