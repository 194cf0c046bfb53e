#include "http/session.hpp"

#include "http/auth.hpp"
#include "http/errors.hpp"
#include "metrics/log.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <exception>

namespace sandy::http {

namespace net = boost::asio;

namespace {

// How long a closed connection may still drain; the client needs one round trip to take its last answer.
constexpr std::chrono::milliseconds farewell{2'000};

// A warm session keeps its strings up to this size.
constexpr std::size_t kept_bytes = 64 * 1024;

caf::error malformed() { return fail(errc::invalid_argument, "The request is not valid HTTP"); }

} // namespace

session::session(connection::socket socket, std::shared_ptr<shard> home)
  : shard_(std::move(home)), connection_(std::move(socket), shard_) {
  insert_before(shard_->sessions);
  shard_->common->observer.connection_opened();
}

session::~session() {
  shard_->common->observer.connection_closed();
  shard_->common->connections.fetch_sub(1, std::memory_order_release);
}

void session::start(connection::socket socket, std::shared_ptr<shard> home, bool refuse) {
  auto& io = home->io_context;
  std::shared_ptr<session> self{new session(std::move(socket), std::move(home))};
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
  if (answered_ == answer_state::streaming && framing_ == framing::until_close)
    connection_.abort();
  connection_.interrupt();
  cancel_.emit(net::cancellation_type::terminal);
}

std::string_view session::param(std::string_view name) const {
  for (std::size_t i = 0; i < match_.params; ++i)
    if (match_.names[i] == name)
      return target_.segments()[match_.segments[i]];
  return {};
}

io_task<void> session::run() {
  for (auto more = true; more;) {
    auto ready = co_await read_head();
    if (!ready)
      break;
    co_await answer();
    more = co_await finish();
  }
  // A body whose end only closing shows must not look complete; every other framing shows the cut by itself.
  if (answered_ == answer_state::broken || (answered_ == answer_state::cut && framing_ == framing::until_close))
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

/// Reads the next request's head. False: there is none, and what could be said to the client was said.
io_task<bool> session::read_head() {
  parser_.emplace(head_);
  parser_->header_limit(limits().header_bytes);
  head_bytes_ = 0;
  answered_ = answer_state::none;
  status_ = 0;
  match_ = {};
  body_ = body_state::done;
  continue_wanted_ = false;
  keep_alive_ = true;
  idle_ = true;
  if (out_.capacity() > kept_bytes)
    out_ = {};
  std::chrono::steady_clock::time_point give_up;
  for (;;) {
    if (!connection_.buffer().empty()) {
      auto need_more = false;
      auto valid = parse_head(need_more);
      if (valid && !need_more)
        break;
      if (!valid) {
        prepare_answer();
        keep_alive_ = false;
        auto too_large = head_bytes_ > limits().header_bytes || head_.too_many_fields;
        co_await reply_error(too_large ? fail(errc::header_too_large, "The request head is too large") : malformed());
        report();
        co_return false;
      }
    }
    auto begun = head_bytes_ > 0 || !connection_.buffer().empty();
    if (begun && idle_)
      give_up = std::chrono::steady_clock::now() + limits().header_timeout;
    idle_ = !begun;
    if (idle_ && shard_->common->draining.load(std::memory_order_relaxed))
      co_return false;
    // A client that took an answer has hardly sent its next request yet: looking would be a wasted system call.
    auto status = begun || !served_ ? connection_.receive(std::size_t{limits().header_bytes} + 1)
                                    : io_status::would_block;
    served_ = false;
    if (status == io_status::would_block) {
      auto timeout = limits().idle_timeout;
      if (begun)
        timeout = std::max(std::chrono::milliseconds{1}, std::chrono::ceil<std::chrono::milliseconds>(
                                                           give_up - std::chrono::steady_clock::now()));
      status = co_await connection_.wait_readable(timeout);
    }
    if (status == io_status::timed_out && begun) {
      prepare_answer();
      keep_alive_ = false;
      co_await reply_error(fail(errc::client_timeout, "The request head did not arrive in time"));
      report();
    }
    if (status != io_status::ok)
      co_return false;
  }
  idle_ = false;
  begin_body();
  prepare_answer();
  co_return true;
}

/// Feeds the parser. False: the bytes are no request that we take.
bool session::parse_head(bool& need_more) {
  auto& buffer = connection_.buffer();
  if (head_bytes_ == 0) // empty lines before a request are to be ignored (RFC 9112, section 2.2)
    while (buffer.data().starts_with("\r\n"))
      buffer.consume(2);
  need_more = buffer.empty() || buffer.data() == "\r";
  if (need_more)
    return true;
  boost::beast::error_code ec;
  auto used = parser_->put(net::const_buffer{buffer.data().data(), buffer.size()}, ec);
  head_bytes_ += used; // the parser's own limit covers only what it was given at once
  buffer.consume(used);
  need_more = ec == beast_http::error::need_more || (!ec && !parser_->is_header_done());
  auto size = head_bytes_ + (need_more ? buffer.size() : 0);
  if (size > limits().header_bytes || ec == beast_http::error::header_limit) {
    head_bytes_ = std::size_t{limits().header_bytes} + 1;
    return false;
  }
  return need_more || (!ec && (head_.version < 11 || head_.has_host));
}

/// What every answer needs, also that to a request we could not read.
void session::prepare_answer() {
  started_ = std::chrono::steady_clock::now();
  keep_alive_ = head_.keep_alive;
  request_id_.clear();
  if (auto id = head_.field("X-Request-Id"); is_plain_id(id))
    request_id_.append(id);
  else
    shard_->append_request_id(request_id_);
  correlation_id_.clear();
  if (auto id = head_.field("X-Correlation-ID"); is_plain_id(id))
    correlation_id_.append(id);
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
  if (killed_)
    co_return;
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
io_task<void> session::dispatch() {
  if (!target_.parse(head_.target())) {
    if (head_.target() == "*" && head_.method() == "OPTIONS")
      return reply_bytes(204, {}, {}, {});
    return reply_error(fail(errc::invalid_argument, "The request target is not valid"));
  }
  if (head_.method() == "OPTIONS" && !head_.field("Access-Control-Request-Method").empty())
    return reply_preflight();
  match_ = shard_->common->routes.find(head_.method(), target_.segments());
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
    return reply_bytes(417, "application/json", error_body(fail(errc::invalid_argument, "Expectation Failed")), {});
  return match_.found->handle(*this);
}

/// Finds out whose request this is. False: nobody's that we know.
bool session::admit(const route& matched) {
  const auto& server = shard_->common->server;
  tenant_.value.clear();
  auto token = bearer_token(head_.field("Authorization"));
  if (!token.empty() && server.authenticate && !matched.is_public)
    if (auto owner = server.authenticate(token)) {
      tenant_ = std::move(*owner);
      return true;
    }
  if (server.open)
    tenant_.value = "default";
  return server.open || matched.is_public;
}

/// A browser asks whether it may ask (Fetch standard, CORS preflight). It sends no credentials with the question.
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
             {"tenant", tenant_.value},
             {"method", head_.method()},
             {"route", route},
             {"status", status},
             {"complete", answered_ == answer_state::complete},
             {"duration_ms", took * 1000}});
}

} // namespace sandy::http
