#include "messages/sandbox.hpp"

namespace sandy {

unix_millis unix_now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string to_string(sandbox_state state) {
  switch (state) {
  case sandbox_state::creating:
    return "creating";
  case sandbox_state::ready:
    return "ready";
  case sandbox_state::draining:
    return "draining";
  case sandbox_state::gone:
    return "gone";
  }
  return "gone";
}

std::string to_string(pause_cause cause) {
  switch (cause) {
  case pause_cause::none:
    return "none";
  case pause_cause::caller:
    return "caller";
  case pause_cause::idle:
    return "idle";
  }
  return "none";
}

std::string to_string(end_reason reason) {
  switch (reason) {
  case end_reason::none:
    return "none";
  case end_reason::terminated:
    return "terminated";
  case end_reason::expired:
    return "expired";
  case end_reason::failed:
    return "failed";
  case end_reason::preempted:
    return "preempted";
  case end_reason::caller_gone:
    return "caller_gone";
  case end_reason::shutdown:
    return "shutdown";
  case end_reason::parent_ended:
    return "parent_ended";
  case end_reason::idle:
    return "idle";
  }
  return "none";
}

std::string sentence(end_reason reason) {
  switch (reason) {
  case end_reason::none:
    return "sandbox ended";
  case end_reason::terminated:
    return "sandbox terminated";
  case end_reason::expired:
    return "sandbox expired";
  case end_reason::failed:
    return "sandbox terminated: it failed";
  case end_reason::preempted:
    return "sandbox preempted";
  case end_reason::caller_gone:
    return "sandbox terminated: its caller went away";
  case end_reason::shutdown:
    return "sandbox terminated: the server shut down";
  case end_reason::parent_ended:
    return "sandbox terminated: its parent ended";
  case end_reason::idle:
    return "sandbox expired: nobody used it";
  }
  return "sandbox ended";
}

} // namespace sandy
