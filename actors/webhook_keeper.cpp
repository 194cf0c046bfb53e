#include "actors/webhook_keeper.hpp"

#include "coro/timer.hpp"
#include "metrics/log.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// A bug that one event brings out comes back with it: soon enough for one that does not, seldom enough for
/// one that does.
constexpr auto first_pause = 1s;
constexpr auto last_pause = 60s;

} // namespace

webhook_keeper_state::webhook_keeper_state(self_pointer self, std::function<webhook_actor()> spawn)
    : self_(self)
    , spawn_(std::move(spawn))
    , pause_(first_pause) {
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    if (!down.reason) {
      self_->quit();
      return;
    }
    log_event(log_level::error, "webhook_died", {{"reason", self_->system().render(down.reason)}});
    coro::spawn(begin_again());
  });
}

webhook_keeper_state::~webhook_keeper_state() {
  if (hook_)
    caf::anon_send_exit(hook_, caf::exit_reason::user_shutdown);
}

webhook_actor::behavior_type webhook_keeper_state::make_behavior() {
  return {[this](deliver_events) { begin(); }};
}

void webhook_keeper_state::begin() {
  hook_ = spawn_();
  self_->monitor(hook_);
  caf::anon_send(hook_, deliver_events{});
}

coro::task<void> webhook_keeper_state::begin_again() {
  co_await coro::sleep_for(pause_);
  pause_ = std::min<std::chrono::milliseconds>(2 * pause_, last_pause);
  begin();
  co_return caf::unit;
}

} // namespace sandy
