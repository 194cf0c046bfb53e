#include "http/nodes/passing.hpp"

#include "http/context.hpp"
#include "http/ingress/forward.hpp"
#include "http/ingress/host_name.hpp"
#include "http/nodes/passed_on.hpp"
#include "http/router.hpp"

#include <algorithm>
#include <array>

namespace sandy::http::nodes {

namespace {

/// Below these, {id} names a sandbox.
constexpr std::array<std::string_view, 4> sandbox_families{"/api/sandboxes/", "/sandboxes/", "/sandbox/",
                                                           "/vnc/"};

/// What goes wrong between two nodes. What goes wrong at the other is an answer of it.
bool is_of_the_hop(errc why) { return why == errc::upstream_error || why == errc::deadline_exceeded; }

/// The id that a request is about; empty: of no sandbox.
std::string_view sandbox_of(exchange& ex, const route& matched) {
  if (const auto* named = ex.addressed())
    return named->host.id.value;
  auto below = [&](auto family) { return matched.pattern.starts_with(family); };
  return std::ranges::any_of(sandbox_families, below) ? ex.param("id") : std::string_view{};
}

} // namespace

node_handle elsewhere(exchange& ex, const route& matched) {
  const auto* directory = ex.server().nodes;
  if (directory == nullptr || ex.from_node())
    return nullptr;
  auto id = sandbox_of(ex, matched);
  if (!is_sandbox_id(id))
    return nullptr;
  auto table = directory->now();
  const auto* node = table->find(id.substr(0, node_id_digits));
  return node == nullptr || node->self ? nullptr : node_handle{table, node};
}

std::string known_of(exchange& ex) {
  const auto origin = ex.origin();
  const auto* named = ex.addressed();
  return to_field({ex.caller(), ex.inside(), std::string{origin.address}, origin.arrival_port,
                   std::string{ex.request_id()}, named != nullptr ? std::string{named->given} : std::string{},
                   ex.budget()});
}

io_task<void> pass_on(exchange& ex, node_handle to) {
  const auto& card = to->card;
  auto not_reached = [] {
    return fail(errc::upstream_error, "Upstream error: the node of the sandbox cannot be reached");
  };
  if (card.state == node_state::unreachable) {
    co_await ex.reply_error(not_reached());
    co_return;
  }
  ingress::passed_request request;
  request.passed_on = known_of(ex);
  ingress::destination where{{}, 0, std::move(request), client::address::of_node(card.host, card.port)};
  auto done = co_await ingress::forward(ex, std::move(where));
  if (!done)
    co_await ex.reply_error(is_of_the_hop(code_of(done.error())) ? not_reached() : done.error());
}

} // namespace sandy::http::nodes
