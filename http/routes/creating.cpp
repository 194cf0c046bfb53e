#include "http/routes/creating.hpp"

#include "http/nodes/placing.hpp"

namespace sandy::http::routes {

namespace {

using boost::asio::experimental::awaitable_operators::operator||;

/// Ends a request actor with its handler, however that ends.
struct request_guard {
  create_request_actor actor;
  explicit request_guard(create_request_actor a)
      : actor(std::move(a)) {}
  request_guard(const request_guard&) = delete;
  request_guard& operator=(const request_guard&) = delete;
  ~request_guard() { coro::end(actor); }
};

/// Ends the request actor when the client hangs up. Goes on waiting then: whether the actor had answered
/// already is known only by its answer.
io_task<void> end_on_hang_up(exchange& ex, const create_request_actor& actor, bool& gone) {
  co_await ex.hang_up();
  auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none)
    co_return; // the answer came first
  gone = true;
  coro::end(actor);
  co_await pause(std::chrono::hours{24});
}

std::vector<sandbox_id> ids_of(const sandbox_info& made) { return {made.id}; }

std::vector<sandbox_id> ids_of(const std::vector<sandbox_info>& made) {
  std::vector<sandbox_id> ids;
  for (const auto& each : made)
    ids.push_back(each.id);
  return ids;
}

const sandbox_id& beside(const create_sandbox& request) { return request.parent; }
const sandbox_id& beside(const fork_sandbox& request) { return request.id; }

template <class Made, class Request>
io_task<result<Made>> ask_request_actor(exchange& ex, Request request, std::chrono::milliseconds timeout) {
  auto& server = ex.server();
  if (auto may = nodes::may_create(server, beside(request)); !may)
    co_return std::move(may.error());
  auto caller = request.caller;
  request_guard guard{server.spawn_create_request(timeout)};
  bool gone = false;
  auto asked = ask(guard.actor, std::move(request), timeout);
  auto watch = end_on_hang_up(ex, guard.actor, gone);
  auto first = co_await (std::move(asked) || std::move(watch));
  if (first.index() != 0) // a day has passed
    co_return fail(errc::deadline_exceeded, "The server did not answer in time");
  auto made = std::move(std::get<0>(first));
  if (!gone)
    co_return made;
  if (made) // nobody will ever know its id
    for (const auto& id : ids_of(*made))
      co_await ask(server.worker, terminate_sandbox{caller, id}, server.limits.control_timeout);
  co_return fail(errc::cancelled, "The client is gone");
}

} // namespace

sandbox_id parent_by_default(const exchange& ex) {
  return ex.inside().tenant == ex.caller().tenant ? ex.inside().sandbox : sandbox_id{};
}

io_task<result<void>> pay_for(context& server, tenant_id tenant, std::uint32_t count) {
  if (server.limiters.empty())
    co_return answered();
  admit_request question{std::move(tenant), request_cost::creation};
  question.count = count;
  const auto& limiter = server.limiter_of(question.tenant);
  auto decision = co_await ask(limiter, std::move(question), server.limits.control_timeout);
  if (!decision)
    co_return decision.error();
  if (decision->refused_by != budget_kind::none)
    co_return fail_for_now(errc::rate_limited, refusal_text(decision->refused_by), decision->retry_after);
  co_return answered();
}

io_task<result<sandbox_info>> ask_to_create(exchange& ex, create_sandbox request,
                                            std::chrono::milliseconds timeout) {
  return ask_request_actor<sandbox_info>(ex, std::move(request), timeout);
}

io_task<result<std::vector<sandbox_info>>> ask_to_create(exchange& ex, fork_sandbox request,
                                                         std::chrono::milliseconds timeout) {
  return ask_request_actor<std::vector<sandbox_info>>(ex, std::move(request), timeout);
}

} // namespace sandy::http::routes
