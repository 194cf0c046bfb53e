#include "actors/webhook.hpp"

#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "store/store.hpp"

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;
using outcome = metrics::webhook_outcome;

/// Tries per event. With the pauses between them about two minutes, beyond what the restart of a receiver
/// takes.
constexpr int most_tries = 8;
constexpr auto first_pause = 1'000ms;
constexpr auto last_pause = 300'000ms;
constexpr std::uint32_t events_per_page = 64;
constexpr std::uint32_t wait_ms = 30'000;
/// The log answers after `wait_ms`; it is given this much more.
constexpr auto log_grace = 10s;

/// A URL's scheme and host: what follows is often as good as a password.
std::string without_path(const std::string& url) {
  auto host = url.find("//");
  return host == std::string::npos ? std::string{} : url.substr(0, url.find('/', host + 2));
}

} // namespace

webhook_state::webhook_state(self_pointer self, services* env, webhook_settings settings, event_log_actor log,
                             webhook_post post)
    : self_(self)
    , env_(*env)
    , settings_(std::move(settings))
    , name_(settings_.url + " " + settings_.tenant.value)
    , shown_(without_path(settings_.url))
    , log_(std::move(log))
    , post_(std::move(post))
    , random_(std::random_device{}()) {}

webhook_actor::behavior_type webhook_state::make_behavior() {
  return {[this](deliver_events) { coro::spawn(run()); }};
}

coro::task<void> webhook_state::run() {
  auto position = co_await first_position();
  if (!position) {
    log_event(log_level::error, "webhook_stopped", {{"url", shown_}, {"error", text_of(position.error())}});
    co_return std::move(position.error());
  }
  read_events question;
  question.caller.tenant = settings_.tenant;
  question.every_tenant = settings_.tenant.value.empty();
  question.types = settings_.events;
  question.limit = events_per_page;
  question.wait_ms = wait_ms;
  question.after = *position;
  for (;;) {
    auto page = co_await coro::request(log_, std::chrono::milliseconds{wait_ms} + log_grace, question);
    if (!page) {
      log_event(log_level::warn, "webhook_waits", {{"url", shown_}, {"error", text_of(page.error())}});
      co_await coro::sleep_for(first_pause);
      continue;
    }
    if (page->missing_to != 0) {
      auto missing = page->missing_to - page->missing_from + 1;
      env_.metrics.webhook_finished(outcome::dropped, missing);
      log_event(log_level::warn, "webhook_too_slow", {{"url", shown_}, {"dropped", std::to_string(missing)}});
    }
    for (auto& event : page->events) {
      auto number = event.sequence;
      auto more = co_await deliver(std::move(event));
      co_await remember(number);
      if (!more || !*more) {
        self_->quit();
        co_return caf::unit;
      }
    }
    co_await remember(page->next);
    question.after = page->next;
    if (page->closing && page->events.empty())
      co_return caf::unit;
  }
}

/// Where it was before a restart; a new webhook begins with what happens next.
coro::task<std::uint64_t> webhook_state::first_position() {
  auto stored = co_await coro::blocking<std::optional<std::uint64_t>>(
      env_.store_calls, [&s = env_.store, name = name_] { return s.webhook_position(name); });
  if (!stored)
    co_return std::move(stored.error());
  remembered_ = *stored;
  if (*stored)
    co_return **stored;
  read_events newest;
  newest.limit = 0;
  auto page = co_await coro::request(log_, coro::infinite, newest);
  if (!page)
    co_return std::move(page.error());
  co_await remember(page->next);
  co_return page->next;
}

coro::task<bool> webhook_state::deliver(life_event event) {
  for (int tries = 1;; ++tries) {
    auto status = co_await post_(event);
    if (status && *status >= 200 && *status < 300) {
      env_.metrics.webhook_finished(outcome::delivered);
      co_return true;
    }
    auto why = status ? "status " + std::to_string(*status) : text_of(status.error());
    auto say = [&](log_level level, const char* what) {
      log_event(level, what,
                {{"url", shown_},
                 {"event", std::to_string(event.sequence)},
                 {"tries", std::to_string(tries)},
                 {"why", why}});
    };
    if (status && *status == 410) {
      env_.metrics.webhook_finished(outcome::gone);
      say(log_level::warn, "webhook_gone");
      co_return false;
    }
    if (!status && code_of(status.error()) == errc::forbidden) {
      env_.metrics.webhook_finished(outcome::forbidden);
      say(log_level::warn, "webhook_forbidden");
      co_return true;
    }
    if (tries == most_tries) {
      env_.metrics.webhook_finished(outcome::failed);
      say(log_level::warn, "webhook_failed");
      co_return true;
    }
    env_.metrics.webhook_finished(outcome::retried);
    say(log_level::debug, "webhook_retries");
    co_await coro::sleep_for(pause_after(tries));
  }
}

/// 1 s, 2 s, 4 s, ... up to 5 minutes, of which a random half is left out: receivers that come back are not
/// met by all at once.
std::chrono::milliseconds webhook_state::pause_after(int tries) {
  auto whole = std::min<std::chrono::milliseconds>(first_pause * (1 << (tries - 1)), last_pause);
  std::uniform_int_distribution<std::int64_t> some{whole.count() / 2, whole.count()};
  return std::chrono::milliseconds{some(random_)};
}

coro::task<void> webhook_state::remember(std::uint64_t position) {
  if (position == remembered_)
    co_return caf::unit;
  remembered_ = position;
  auto stored = co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, name = name_, position] {
    return s.set_webhook_position(name, position);
  });
  if (!stored) // after a restart some events are posted again
    log_event(log_level::warn, "webhook_position_lost",
              {{"url", shown_}, {"error", text_of(stored.error())}});
  co_return caf::unit;
}

} // namespace sandy
