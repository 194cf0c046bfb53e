#pragma once

#include "messages/sandbox.hpp"
#include "runtime/guest/activity.hpp"

#include <atomic>
#include <functional>

namespace sandy::guest {

/// What the users of a sandbox's data plane share with its actor. The reason is set before the sandbox is
/// taken apart, so that whoever sees a connection break can say why.
struct end_state {
  std::atomic<end_reason> reason{end_reason::none};
  /// Called, from any thread, when the guest breaks the protocol. Set before the data plane gets the sandbox.
  std::function<void()> on_violation;
  /// Every operation of the data plane is a use, until its connection closes.
  std::shared_ptr<activity> uses = std::make_shared<activity>();
};

} // namespace sandy::guest
