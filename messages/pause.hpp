#pragma once

// Conversation: edge -> worker -> sandbox. A sandbox whose processes stand still, and go on.

#include "messages/sandbox.hpp"

namespace sandy {

/// Stops every process of a sandbox until `resume_sandbox`; its lease goes on. Answered by sandbox_info when
/// none of them runs. Idempotent. Fails with sandbox_not_found, also when its end came first, and with
/// sandbox_failed when a process cannot be stopped: all of them run on then.
struct pause_sandbox {
  principal caller;
  sandbox_id id;
};

/// Lets the processes of a paused sandbox go on; answered by sandbox_info when they do. Idempotent. Fails
/// with sandbox_not_found.
struct resume_sandbox {
  principal caller;
  sandbox_id id;
};

template <class Inspector>
auto inspect(Inspector& f, pause_sandbox& x) {
  return f(caf::meta::type_name("pause_sandbox"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, resume_sandbox& x) {
  return f(caf::meta::type_name("resume_sandbox"), x.caller, x.id);
}

} // namespace sandy
