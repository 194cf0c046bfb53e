#pragma once

#include "coro/handler.hpp"
#include "coro/scope.hpp"

#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <optional>
#include <tuple>
#include <utility>

namespace sandy::coro {

/// A typed CAF actor whose handlers may be coroutines. `State` holds all of its state and logic:
///
///   struct worker_state {
///     static inline const char* name = "worker";           // in logs and metrics
///     worker_state(actor<worker_state, worker_actor>* self, int slots);
///     worker_actor::behavior_type make_behavior();
///   };
///   auto handle = system.spawn<coro::actor<worker_state, worker_actor>>(slots);
///
/// When the actor ends its frames are destroyed first, then its state. Then callers of suspended handlers
/// hear that their receiver went down.
template <class State, class Handle>
class actor : public Handle::base {
  using super = typename Handle::base;

public:
  using handle_type = Handle;

  template <class... Ts>
  explicit actor(caf::actor_config& config, Ts&&... args)
      : super(config) {
    make_state_ = [this, tuple = std::make_tuple(std::decay_t<Ts>(std::forward<Ts>(args))...)]() mutable {
      std::apply([this](auto&... each) { state_.emplace(this, std::move(each)...); }, tuple);
    };
  }

  const char* name() const override { return State::name; }
  State& state() { return *state_; }

  using super::consume;

  caf::resumable::resume_result resume(caf::execution_unit* unit, size_t max_throughput) override {
    scope::activation active{&scope_};
    return super::resume(unit, max_throughput);
  }

  caf::invoke_message_result consume(caf::mailbox_element& element) override {
    auto outcome = caf::invoke_message_result::consumed;
    if (scope::is_ours(element.mid)) {
      this->current_mailbox_element(&element);
      scope_.dispatch(element);
    } else {
      outcome = super::consume(element);
    }
    scope_.drain();
    scope_.rethrow_crash();
    return outcome;
  }

  void on_exit() override {
    make_state_ = nullptr;
    if (!scope_.active()) { // the last reference went away on some thread: no execution unit, and no new
                            // references
      this->context(nullptr);
      scope_.unreferenced();
    }
    scope::activation active{&scope_};
    scope_.shutdown();
    state_.reset();
  }

protected:
  typename super::behavior_type make_behavior() override {
    make_state_();
    make_state_ = nullptr;
    auto behavior = state_->make_behavior();
    scope_.drain();
    return behavior;
  }

private:
  scope scope_{this};
  std::function<void()> make_state_;
  std::optional<State> state_;
};

} // namespace sandy::coro
