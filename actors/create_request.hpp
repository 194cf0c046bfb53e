#pragma once

#include "coro/actor.hpp"
#include "messages/request.hpp"

#include <chrono>

namespace sandy {

/// State of the actor behind one request that makes sandboxes: asks the worker, answers the edge, quits. The
/// edge kills it when its client hangs up; the worker, which monitors it while it creates, then undoes the
/// creation.
class create_request_state {
public:
  static inline const char* name = "create_request";
  using self_pointer = coro::actor<create_request_state, create_request_actor>*;

  create_request_state(self_pointer self, worker_actor worker, std::chrono::milliseconds timeout);
  create_request_actor::behavior_type make_behavior();

private:
  template <class Made, class Request>
  caf::result<Made> create(Request request);

  self_pointer self_;
  worker_actor worker_;
  std::chrono::milliseconds timeout_;
};

} // namespace sandy
