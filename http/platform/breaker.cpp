#include "http/platform/breaker.hpp"

#include <utility>

namespace sandy::http::platform {

breaker::pass breaker::ask(time_point now) {
  std::lock_guard lock{mutex_};
  if (open_until_ == time_point{})
    return pass{*this, false};
  if (now < open_until_)
    return pass{open_until_};
  if (probing_) // its outcome is everybody's; what it takes nobody knows
    return pass{now + std::chrono::seconds{1}};
  probing_ = true;
  return pass{*this, true};
}

breaker_state breaker::state(time_point now) const {
  std::lock_guard lock{mutex_};
  if (open_until_ == time_point{})
    return breaker_state::closed;
  return now < open_until_ ? breaker_state::open : breaker_state::half_open;
}

breaker::time_point breaker::rests_until(time_point now) const {
  std::lock_guard lock{mutex_};
  return now < open_until_ ? open_until_ : time_point{};
}

breaker::pass::~pass() {
  if (from_ == nullptr || !probe_)
    return;
  std::lock_guard lock{from_->mutex_};
  from_->probing_ = false; // the next one shows
}

void breaker::pass::succeeded() {
  auto* from = std::exchange(from_, nullptr);
  if (from == nullptr)
    return;
  std::lock_guard lock{from->mutex_};
  if (!probe_ && from->open_until_ != time_point{})
    return;
  from->in_a_row_ = 0;
  from->open_until_ = {};
  from->probing_ = false;
}

void breaker::pass::failed(time_point now, std::size_t asker) {
  auto* from = std::exchange(from_, nullptr);
  if (from == nullptr)
    return;
  std::lock_guard lock{from->mutex_};
  if (!probe_) {
    if (from->open_until_ != time_point{})
      return;
    if (from->in_a_row_++ == 0) {
      from->first_asker_ = asker;
      from->anybodys_ = false;
    }
    from->anybodys_ = from->anybodys_ || asker == 0 || asker != from->first_asker_;
    if (from->in_a_row_ < from->failures_ || !from->anybodys_)
      return;
    asker = 0; // whose turn it is to probe was nobody's yet
  } else if (asker != 0 && asker == from->last_prober_) {
    from->probing_ = false; // somebody else shows
    return;
  }
  from->last_prober_ = asker;
  from->open_until_ = now + from->pause_;
  from->in_a_row_ = 0;
  from->probing_ = false;
}

} // namespace sandy::http::platform
