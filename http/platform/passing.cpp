#include "http/platform/passing.hpp"

#include "http/platform/answers.hpp"
#include "http/routes/common.hpp"
#include "http/sse.hpp"
#include "metrics/log.hpp"

#include <array>
#include <functional>

namespace sandy::http::platform {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds connect_timeout{10'000};
/// Fields of an answer that are passed on, beside Content-Type.
constexpr std::array passed_fields{"Content-Disposition", "Content-Encoding", "Content-Language",
                                   "Cache-Control", "Retry-After"};

/// Answers that mean that the service itself is unwell, not that the request is.
bool is_failure(unsigned status) { return status == 500 || (status >= 502 && status <= 504); }

long whole_seconds(steady_clock::duration time) {
  return std::max(1l, static_cast<long>(std::chrono::ceil<std::chrono::seconds>(time).count()));
}

/// Whose failures are whose: a sandbox and those it made fail together. Never 0.
std::size_t family_of(const std::shared_ptr<ledger>& account) {
  auto top = account;
  while (auto above = top->parent())
    top = std::move(above);
  return std::hash<sandbox_id>{}(top->whose()) | 1;
}

} // namespace

passing::passing(exchange& ex, const proxy& rules, service& to, std::shared_ptr<ledger> account)
    : ex_(ex)
    , rules_(rules)
    , to_(to)
    , account_(std::move(account)) {}

passing::~passing() {
  if (meter_ && reader_) // whoever left early pays for what was made until then
    meter_->close(*reader_, false, call_->answer().length.value_or(0));
  to_.numbers.answered(status_);
  to_.numbers.breaker(static_cast<int>(to_.guard.state(steady_clock::now())));
}

io_task<result<void>> passing::run() {
  const auto& limits = rules_.rules().limits;
  // What would be refused anyway is refused before its body takes memory and time.
  if (auto until = to_.guard.rests_until(steady_clock::now()); until != breaker::time_point{}) {
    co_await refuse_while_resting(until);
    co_return caf::unit;
  }
  if (auto part = account_->spent(limits, to_.settings.price); part != spent_part::none) {
    co_await refuse_spent(part);
    co_return caf::unit;
  }
  auto body = co_await ex_.read_body(to_.settings.max_request_bytes);
  if (!body)
    co_return std::move(body.error());
  const auto size = body->size();
  auto made = make_request(ex_, to_, std::move(*body), account_->key());
  if (!made)
    co_return std::move(made.error());
  request_ = std::move(*made);
  auto passed = to_.guard.ask(steady_clock::now());
  if (!passed.granted()) {
    co_await refuse_while_resting(passed.waits_until());
    co_return caf::unit;
  }
  if (auto part = account_->admit(limits, to_.settings.price); part != spent_part::none) {
    co_await refuse_spent(part);
    co_return caf::unit;
  }
  meter_.emplace(rules_, to_, account_, request_.model, size);
  auto asked = co_await routes::while_there(ex_, ask(passed));
  if (asked)
    co_await pass_back();
  else if (code_of(asked.error()) != errc::cancelled)
    co_await answer_failure(asked.error());
  co_return caf::unit;
}

io_task<void> passing::refuse_while_resting(breaker::time_point until) {
  auto seconds = whole_seconds(until - steady_clock::now());
  status_ = 503;
  co_await refuse(ex_, 503, reasons::paused, named() + " failed several times and gets a rest",
                  {{"Retry-After", std::to_string(seconds)}});
}

io_task<void> passing::refuse_spent(spent_part part) {
  to_.numbers.over_budget();
  status_ = 429;
  // Clients of models try again by themselves, unless they are told that it is of no use.
  co_await refuse(ex_, 429, reasons::budget, budget_sentence(part), {{"X-Should-Retry", "false"}});
}

/// Asks until there is an answer, or no sense in going on.
io_task<result<void>> passing::ask(breaker::pass& passed) {
  auto wait = first_pause;
  for (int tries = 1;; ++tries) {
    meter_->sent();
    auto tried = co_await try_once();
    if (tried) {
      if (is_failure(call_->answer().status))
        passed.failed(steady_clock::now(), family_of(account_));
      else
        passed.succeeded();
      co_return tried;
    }
    log_failure(tried.error());
    // What timed out may be at work on it still, and there is no time left.
    if (!request_.repeatable || tries >= most_tries || code_of(tried.error()) != errc::upstream_error) {
      blame(passed, tried.error());
      co_return tried;
    }
    co_await routes::pause(wait);
    wait *= 2;
  }
}

/// Who cannot be reached is unwell. Who took a request and broke off may be, if others see it too; who only
/// takes long over one says nothing: what it is asked may be more than there is time for.
void passing::blame(breaker::pass& passed, const caf::error& why) const {
  if (call_ && !call_->connected())
    passed.failed(steady_clock::now(), 0);
  else if (code_of(why) != errc::deadline_exceeded)
    passed.failed(steady_clock::now(), family_of(account_));
}

io_task<result<void>> passing::try_once() {
  const auto left = std::chrono::ceil<milliseconds>(begun_ + to_.settings.timeout - steady_clock::now());
  if (left.count() <= 0)
    co_return fail(errc::deadline_exceeded, "The service did not answer in time");
  client::patience limits;
  limits.connect = std::min(connect_timeout, left);
  limits.first_byte = limits.between = limits.total = left;
  call_.emplace(ex_.home(), to_.to.to, limits);
  client::request what{request_.method, request_.target, request_.fields, request_.repeatable};
  auto asked = co_await call_->ask(what, request_.body);
  co_return asked;
}

io_task<void> passing::answer_failure(caf::error why) {
  const auto late = code_of(why) == errc::deadline_exceeded;
  if (!late)
    meter_->nothing();
  status_ = late ? 504 : 502;
  co_await refuse(ex_, status_, late ? reasons::too_slow : reasons::unreachable,
                  named() + (late ? " did not answer in time" : " cannot be reached"));
}

io_task<void> passing::pass_back() {
  const auto& head = call_->answer();
  if (head.status >= 400)
    meter_->nothing();
  if (head.length && *head.length > to_.settings.max_answer_bytes) {
    status_ = 502;
    co_await refuse(ex_, 502, reasons::too_large, named() + " answered with too much");
    co_return;
  }
  status_ = head.status;
  reader_.emplace(form_of(head.field("Content-Type")));
  header_list extra;
  for (auto name : passed_fields)
    if (auto value = head.field(name); !value.empty())
      extra.emplace_back(name, std::string{value});
  // A stream may have to end with an event of ours.
  const auto events = reader_->form() == answer_form::events;
  if (events)
    extra.emplace_back("X-Accel-Buffering", "no");
  const std::string type{head.field("Content-Type")};
  auto begun =
      co_await ex_.begin_stream(head.status, type, events ? std::nullopt : head.length, std::move(extra));
  if (!begun)
    co_return;
  using boost::asio::experimental::awaitable_operators::operator||;
  auto body = pass_body();
  auto leaving = routes::long_gone(ex_);
  co_await (std::move(body) || std::move(leaving));
}

io_task<void> passing::pass_body() {
  for (auto last = false; !last;) {
    auto piece = co_await call_->next();
    if (!piece) {
      const auto late = code_of(piece.error()) == errc::deadline_exceeded;
      log_failure(piece.error());
      co_await cut(late ? reasons::too_slow : reasons::broken,
                   named() + (late ? " did not answer to the end in time" : " broke off its answer"));
      co_return;
    }
    last = piece->last;
    auto went_on = co_await pass_piece(piece->bytes);
    if (!went_on)
      co_return;
  }
  meter_->close(*reader_, true);
  co_await ex_.end_stream();
}

/// @returns whether more is to follow.
io_task<bool> passing::pass_piece(std::string_view bytes) {
  std::size_t good = 0;
  auto part = spent_part::none;
  while (good < bytes.size() && part == spent_part::none) {
    good += reader_->take(bytes.substr(good));
    if (reader_->between_events())
      part = meter_->note(*reader_);
  }
  passed_bytes_ += good;
  const auto too_much = passed_bytes_ > to_.settings.max_answer_bytes;
  if (!too_much && good > 0) {
    auto sent = co_await ex_.write(bytes.substr(0, good));
    if (!sent)
      co_return false;
  }
  if (too_much)
    co_await cut(reasons::too_large, named() + " answered with too much");
  else if (part != spent_part::none && !reader_->done()) {
    to_.numbers.over_budget();
    co_await cut(reasons::budget, budget_sentence(part));
  }
  co_return !too_much && (part == spent_part::none || reader_->done());
}

/// Ends an answer that cannot go on: a stream of events says why, everything else shows that it is cut.
io_task<void> passing::cut(std::string_view code, std::string detail) {
  if (reader_->form() != answer_form::events || reader_->done())
    co_return;
  auto words = last_events(code, detail);
  if (!reader_->between_events())
    words.insert(0, "\n\n");
  auto sent = co_await ex_.write(words);
  if (sent)
    co_await ex_.end_stream();
}

void passing::log_failure(const caf::error& why) const {
  log_event(log_level::warn, "platform_service_failed",
            {{"request_id", ex_.request_id()},
             {"sandbox_id", account_->whose().value},
             {"service", to_.settings.name},
             {"what", text_of(why)}});
}

} // namespace sandy::http::platform
