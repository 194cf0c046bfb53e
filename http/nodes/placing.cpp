#include "http/nodes/placing.hpp"

#include "http/client/call.hpp"
#include "http/context.hpp"
#include "http/ingress/passed_head.hpp"
#include "http/nodes/placement.hpp"
#include "http/request_head.hpp"
#include "http/shard.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <random>

namespace sandy::http::nodes {

namespace {

using boost::asio::experimental::awaitable_operators::operator||;

/// Asked one after the other, each within its own time, before the client is told to come again.
constexpr std::size_t most_asked = 4;
/// More is no description of a sandbox.
constexpr std::uint64_t most_bytes = 1024 * 1024;
/// For the node's own time limit to come first.
constexpr std::chrono::seconds margin{5};

std::size_t random_below(std::size_t bound) {
  thread_local std::minstd_rand source{std::random_device{}()};
  return std::uniform_int_distribution<std::size_t>{0, bound - 1}(source);
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
    if (all.size() < most_asked)
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
  case errc::upstream_error:
    return true;
  default:
    return false;
  }
}

io_task<result<bool>> make_at(exchange& ex, node_handle to, std::string_view body, bool last) {
  const auto& card = to->card;
  client::patience limits;
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
  if (auto& got = std::get<0>(first); !got)
    co_return fail(errc::upstream_error, text_of(got.error()));
  const auto status = asked.answer().status;
  auto text = co_await asked.read_all(most_bytes);
  if (!text)
    co_return std::move(text.error());
  if (!last && (status == 503 || status == 404))
    co_return false;
  std::string back;
  ingress::append_answer_fields(back, asked.answer(), ex.home().date(), false);
  ex.begin_passed({status, asked.answer().reason(), back, text->size()});
  co_await ex.write(*text);
  co_await ex.end_stream();
  co_return true;
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
  return caf::unit;
}

} // namespace sandy::http::nodes
