#include "actors/sandbox_life.hpp"

namespace sandy {

bool sandbox_life::enter(sandbox_state next) noexcept {
  auto allowed = false;
  switch (state_) {
  case sandbox_state::creating:
    allowed = next == sandbox_state::ready || next == sandbox_state::draining;
    break;
  case sandbox_state::ready:
    allowed = next == sandbox_state::draining;
    break;
  case sandbox_state::draining:
    allowed = next == sandbox_state::gone;
    break;
  case sandbox_state::gone:
    break;
  }
  if (allowed)
    state_ = next;
  return allowed;
}

bool sandbox_life::end(end_reason reason) noexcept {
  if (!enter(sandbox_state::draining))
    return false;
  reason_ = reason;
  return true;
}

} // namespace sandy
