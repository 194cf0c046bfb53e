#include "http/session.hpp"

#include "coro/ask.hpp"
#include "http/auth.hpp"
#include "http/errors.hpp"
#include "http/ingress/serve.hpp"
#include "http/nodes/knocking.hpp"
#include "http/nodes/passed_on.hpp"
#include "http/nodes/passing.hpp"
#include "http/stream_lease.hpp"
#include "metrics/log.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <exception>

namespace sandy::http {

namespace net = boost::asio;

namespace {

// How long a closed connection may still drain; the client needs one round trip to take its last answer.
constexpr std::chrono::milliseconds farewell{2'000};

} // namespace

session::session(connection::socket socket, std::shared_ptr<shard> home,
                 std::shared_ptr<inside_listener> door, std::uint16_t arrival_port, bool from_node)
    : shard_(std::move(home))
    , door_(std::move(door))
    , arrival_port_(arrival_port)
    , from_node_(from_node)
    , connection_(std::move(socket), shard_) {
  insert_before(door_ ? door_->sessions() : shard_->sessions);
  shard_->common->observer.connection_opened();
}

session::~session() {
  shard_->common->observer.connection_closed();
  release_body();
  if (door_)
    door_->session_ended();
  if (from_node_)
    shard_->common->nodes.fetch_sub(1, std::memory_order_relaxed);
  shard_->common->connections.fetch_sub(1, std::memory_order_release);
}

void session::start(connection::socket socket, std::shared_ptr<shard> home, bool refuse,
                    std::shared_ptr<inside_listener> door, std::uint16_t arrival_port, bool from_node) {
  auto& io = home->io_context;
  std::shared_ptr<session> self{
      new session(std::move(socket), std::move(home), std::move(door), arrival_port, from_node)};
  // The completion handler owns the session: its coroutine and its cancellation signal need it to the last.
  auto ended = [self](const std::exception_ptr& what) {
    if (!what || self->killed_)
      return;
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& e) {
      log_event(log_level::error, "http_session_failed", {{"what", e.what()}});
    }
  };
  net::co_spawn(io, refuse ? self->refuse() : self->run(),
                net::bind_cancellation_slot(self->cancel_.slot(), std::move(ended)));
}

void session::drain() noexcept {
  if (idle_)
    connection_.interrupt();
}

void session::kill() {
  killed_ = true;
  if (answered_ == answer_state::taken ||
      (answered_ == answer_state::streaming && framing_ == framing::until_close))
    connection_.abort();
  connection_.interrupt();
  cancel_.emit(net::cancellation_type::terminal);
}

void session::cut() {
  connection_.abort();
  kill();
}

const principal& session::inside() const noexcept { return door_ ? door_->who() : passed_inside_; }

request_origin session::origin() {
  if (peer_address_.empty()) {
    boost::system::error_code ec;
    auto peer = connection_.raw().remote_endpoint(ec);
    peer_address_ = ec ? "unknown" : peer.address().to_string();
  }
  return {peer_address_, arrival_port_};
}

std::string_view session::param(std::string_view name) const {
  for (std::size_t i = 0; i < match_.params; ++i)
    if (match_.names[i] == name)
      return target_.segments()[match_.segments[i]];
  return {};
}

io_task<void> session::run() {
  if (from_node_) {
    auto known = co_await greet_node();
    if (!known)
      co_return;
  }
  for (auto more = true; more;) {
    auto ready = co_await read_head();
    if (!ready)
      break;
    co_await answer();
    release_body();
    more = co_await finish();
  }
  // A body whose end only closing shows must not look complete; every other framing shows the cut by itself.
  if (answered_ == answer_state::broken ||
      (answered_ == answer_state::cut && framing_ == framing::until_close))
    connection_.abort();
  else if (answered_ != answer_state::none)
    co_await connection_.close_gently(farewell);
}

io_task<void> session::refuse() {
  request_id_.clear();
  shard_->append_request_id(request_id_);
  keep_alive_ = false;
  co_await reply_error(fail(errc::capacity_exhausted, "Too many connections"));
  co_await connection_.close_gently(farewell);
}

/// Runs the handler; whatever it does, the request has an answer or the connection is marked broken.
io_task<void> session::answer() {
  std::string failure;
  try {
    co_await dispatch();
  } catch (const std::exception& e) {
    failure = e.what();
  } catch (...) {
    failure = "unknown exception";
  }
  if (killed_) {
    report(); // nothing that this coroutine awaits comes to pass any more
    co_return;
  }
  if (failure.empty() && answered_ == answer_state::none)
    failure = "the handler did not answer";
  if (!failure.empty()) {
    log_event(log_level::error, "http_handler_failed",
              {{"request_id", request_id_},
               {"route", match_.found != nullptr ? match_.found->pattern : std::string_view{}},
               {"what", failure}});
    if (answered_ == answer_state::none)
      co_await reply_error(fail(errc::internal, "Internal error"));
  }
}

/// Finds the handler, or the answer where there is none. Not a coroutine: its callee's frame is enough.
io_task<void> session::dispatch() { return from_node_ ? dispatch_passed_on() : dispatch_routed(); }

/// Another node has authenticated the request, and taken what it costs from its tenant's budget.
io_task<void> session::dispatch_passed_on() {
  auto value = head_.field(nodes::passed_on_field);
  if (value.empty() && head_.method() == "GET" && head_.target().starts_with(nodes::door_path))
    return nodes::answer_knock(*this);
  auto known = nodes::read_field(value);
  if (!known)
    return reply_error(fail(errc::unauthorized, "Nodes say whose requests they pass on"));
  caller_ = std::move(known->caller);
  passed_inside_ = std::move(known->inside);
  peer_address_ = std::move(known->address);
  arrival_port_ = known->arrival_port;
  request_id_ = std::move(known->request_id);
  budget_ = known->budget;
  // What it is addressed to was decided there: here, other fields may be left of the request.
  passed_host_ = std::move(known->host);
  addressed_.reset();
  if (!passed_host_.empty()) {
    auto host = ingress::parse_host(passed_host_, server().address.host_suffixes);
    if (!host)
      return reply_error(no_such_sandbox());
    addressed_ = ingress::addressed_sandbox{std::move(*host), passed_host_};
  }
  return dispatch_routed();
}

io_task<void> session::dispatch_routed() {
  // A sandbox's host name owns every path, and whatever the target is.
  const auto* own_routes = door_ ? door_->routes() : nullptr;
  if (!from_node_)
    addressed_ =
        own_routes == nullptr ? ingress::addressed(head_, server().address.host_suffixes) : std::nullopt;
  if (addressed_) {
    if (!from_node_)
      caller_ = {};
    match_.found = &ingress::host_route;
    return handle();
  }
  if (arrival_port_ != 0) // the API is not there
    return reply_error(fail(errc::sandbox_not_found, "Sandbox not found"));
  if (!target_.parse(head_.target())) {
    if (head_.target() == "*" && head_.method() == "OPTIONS")
      return reply_bytes(204, {}, {}, {});
    return reply_error(fail(errc::invalid_argument, "The request target is not valid"));
  }
  if (head_.method() == "OPTIONS" && !head_.field("Access-Control-Request-Method").empty())
    return reply_preflight();
  const auto& table = own_routes != nullptr ? *own_routes : shard_->common->routes;
  match_ = table.find(head_.method(), target_.segments());
  if (match_.found == nullptr) {
    if (match_.allow.empty())
      return reply_error(fail(errc::route_not_found, "Not Found"));
    if (head_.method() == "OPTIONS")
      return reply_bytes(204, {}, {}, {{"Allow", std::string{match_.allow}}});
    return reply_error(fail(errc::method_not_allowed, "Method Not Allowed"));
  }
  if (!admit(*match_.found))
    return reply_error(fail(errc::unauthorized, "Unauthorized"));
  if (auto expect = head_.field("Expect"); !expect.empty() && !boost::beast::iequals(expect, "100-continue"))
    return reply_bytes(417, "application/json",
                       error_body(fail(errc::invalid_argument, "Expectation Failed")), {});
  if (match_.found->is_public || server().limiters.empty() || from_node_)
    return handle();
  return handle_within_budget();
}

/// Here, or at the node whose sandbox it is about.
io_task<void> session::handle() {
  if (auto node = nodes::elsewhere(*this, *match_.found)) {
    // What a sandbox sends is bounded here: the other node knows it from no other.
    const auto most = limits().json_body_bytes;
    if (door_ && body_ != body_state::done && !hold_body(std::min(content_length().value_or(most), most)))
      return reply_error(
          fail_for_now(errc::capacity_exhausted, "This sandbox sends too many large requests at once", 1));
    return nodes::pass_on(*this, std::move(node));
  }
  return match_.found->handle(*this);
}

/// Runs the handler if the caller's tenant may have one more request of this kind.
io_task<void> session::handle_within_budget() {
  const auto& limiter = server().limiter_of(caller_.tenant);
  admit_request question{caller_.tenant, match_.found->cost};
  std::optional<stream_lease> lease; // until the handler ends, or is cancelled
  if (question.cost == request_cost::stream)
    question.lease = lease.emplace(limiter).id();
  auto decision = co_await ask(limiter, std::move(question), limits().control_timeout);
  if (!decision) {
    co_await reply_error(decision.error());
    co_return;
  }
  budget_ = *decision;
  if (budget_.refused_by != budget_kind::none) {
    auto refusal = fail_for_now(errc::rate_limited, refusal_text(budget_.refused_by), budget_.retry_after);
    co_await reply_error(refusal);
    co_return;
  }
  co_await handle();
}

/// Finds out whose request this is. False: nobody's that we know.
bool session::admit(const route& matched) {
  if (from_node_) // which has looked at the key, where one is needed
    return matched.is_public || !caller_.tenant.value.empty();
  const auto& server = shard_->common->server;
  caller_ = {};
  auto token = bearer_token(head_.field("Authorization"));
  // Where Anthropic's clients have their key. Elsewhere the header belongs to what runs in a sandbox.
  if (token.empty() && matched.pattern.starts_with("/v1/"))
    token = head_.field("X-Api-Key");
  std::string offered;
  if (token.empty() && matched.key_in_subprotocol)
    token = offered = subprotocol_key(head_.field("Sec-WebSocket-Protocol"));
  if (!token.empty() && server.authenticate && !matched.is_public)
    if (auto known = server.authenticate(token)) {
      caller_ = std::move(*known);
      return true;
    }
  if (server.open) // a sandbox is itself there, not everybody
    caller_ = door_ ? door_->who() : principal{tenant_id{"default"}};
  return server.open || matched.is_public;
}

/// A browser asks whether it may ask (Fetch standard, CORS preflight). It sends no credentials with the
/// question.
io_task<void> session::reply_preflight() {
  header_list extra{{"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
                    {"Access-Control-Max-Age", "86400"}};
  auto wanted = head_.field("Access-Control-Request-Headers");
  extra.emplace_back("Access-Control-Allow-Headers",
                     wanted.empty() ? "Authorization, Content-Type" : std::string{wanted});
  return reply_bytes(204, {}, {}, std::move(extra));
}

/// After the answer. True: the connection can take another request.
io_task<bool> session::finish() {
  // The head is all of an answer to HEAD, whether the handler ended its stream or gave up at the first write.
  if (answered_ == answer_state::streaming && head_only())
    answered_ = answer_state::complete;
  if (answered_ == answer_state::streaming)
    answered_ = answer_state::cut;
  if (answered_ != answer_state::complete)
    keep_alive_ = false;
  report();
  if (!keep_alive_ || killed_)
    co_return false;
  served_ = true;
  if (body_ == body_state::done)
    co_return true;
  auto discarded = co_await discard_body();
  co_return discarded;
}

void session::report() const {
  using seconds = std::chrono::duration<double>;
  auto took = seconds{std::chrono::steady_clock::now() - started_}.count();
  auto status = status_ == 0 ? to_status(errc::cancelled) : status_;
  auto route = match_.found != nullptr ? match_.found->pattern : std::string_view{};
  shard_->common->observer.request_finished(route, head_.method(), status, took);
  // Public routes are asked by probes and scrapers all day.
  auto level = status >= 500 && status != 503                       ? log_level::warn
               : match_.found != nullptr && match_.found->is_public ? log_level::debug
                                                                    : log_level::info;
  if (!log_enabled(level))
    return;
  log_event(level, "http_request",
            {{"request_id", request_id_},
             {"tenant", caller_.tenant.value},
             {"method", head_.method()},
             {"route", route},
             {"status", status},
             {"complete", answered_ == answer_state::complete || answered_ == answer_state::taken},
             {"duration_ms", took * 1000}});
}

} // namespace sandy::http
