#include "actors/create_request.hpp"

#include "coro/request.hpp"

namespace sandy {

create_request_state::create_request_state(self_pointer self, worker_actor worker,
                                           std::chrono::milliseconds timeout)
    : self_(self)
    , worker_(std::move(worker))
    , timeout_(timeout) {}

create_request_actor::behavior_type create_request_state::make_behavior() {
  return {[this](create_sandbox request) { return create<sandbox_info>(std::move(request)); },
          [this](fork_sandbox request) { return create<std::vector<sandbox_info>>(std::move(request)); }};
}

template <class Made, class Request>
caf::result<Made> create_request_state::create(Request request) {
  auto made = co_await coro::request(worker_, timeout_, std::move(request));
  self_->quit(); // also when time ran out: our end tells the worker to undo what it may still make
  co_return std::move(made);
}

} // namespace sandy
