#pragma once

#include "messages/sandbox.hpp"

namespace sandy {

/// The life of a sandbox as a value: `creating -> ready -> draining -> gone`, never backwards.
class sandbox_life {
public:
  sandbox_state state() const noexcept { return state_; }
  end_reason reason() const noexcept { return reason_; }

  /// Moves on. @returns false, and changes nothing, when `next` does not follow the current state: somebody
  /// else won.
  bool enter(sandbox_state next) noexcept;

  /// Starts the end, from creating or ready. The first reason counts. @returns false when it had begun
  /// already.
  bool end(end_reason reason) noexcept;

private:
  sandbox_state state_ = sandbox_state::creating;
  end_reason reason_ = end_reason::none;
};

} // namespace sandy
