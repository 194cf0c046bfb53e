#pragma once

#include "coro/request.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/make_actor.hpp>
#include <caf/monitorable_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <chrono>
#include <map>
#include <optional>

namespace sandy::tests {

/// Receives answers for a test: no mailbox, no thread.
class inbox final : public caf::monitorable_actor {
public:
  explicit inbox(caf::actor_config& config)
      : monitorable_actor(config) {}
  const char* name() const override { return "inbox"; }
  using caf::abstract_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    if (element->mid.is_response())
      answers[element->mid.request_id().integer_value()] = std::move(element);
  }
  std::map<std::uint64_t, caf::mailbox_element_ptr> answers;
  std::uint64_t last_id = 0;
};

/// A question that a test asked; its answer is there once the actors ran far enough.
template <class T>
class question {
public:
  question(inbox& box, std::uint64_t id)
      : box_(&box)
      , id_(id) {}
  bool answered() const { return answer().has_value(); }
  bool succeeded() const {
    auto outcome = answer();
    return outcome && *outcome;
  }
  /// The answer; std::nullopt while there is none.
  std::optional<result<T>> answer() const {
    auto found = box_->answers.find(id_);
    if (!taken_ && found != box_->answers.end()) // taking it leaves nothing behind
      taken_ = coro::detail::take_response<T>(*found->second);
    return taken_;
  }

private:
  inbox* box_;
  std::uint64_t id_;
  mutable std::optional<result<T>> taken_;
};

/// An actor system whose actors run one message at a time, when the test says so, on a virtual clock.
class deterministic {
  struct configuration : caf::actor_system_config {
    configuration() {
      set("scheduler.policy", caf::atom("testing"));
      register_messages(*this);
    }
  };

public:
  deterministic()
      : system(config)
      , scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {
    caf::actor_config box{system.dummy_execution_unit()};
    keep_ =
        caf::make_actor<inbox, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, box);
    inbox_ = static_cast<inbox*>(caf::actor_cast<caf::abstract_actor*>(keep_));
  }

  /// Timers of CAF's test clock keep their actors alive; the server's own do not.
  ~deterministic() {
    scheduler.clock().cancel_all();
    run();
  }

  /// Runs until nobody has mail.
  void run() { scheduler.run(); }
  /// Lets virtual time pass, and runs what follows.
  void advance(std::chrono::nanoseconds time) {
    scheduler.advance_time(time);
    scheduler.run();
  }

  /// Sends a request without running anybody.
  template <class Handle, class Message>
  question<coro::detail::response_of<Handle, Message>> send(const Handle& handle, Message message) {
    auto id = ++inbox_->last_id;
    auto mid = caf::message_id{id}.with_normal_priority();
    auto* target = caf::actor_cast<caf::abstract_actor*>(handle);
    target->enqueue(caf::make_mailbox_element(keep_, mid, {}, std::move(message)), nullptr);
    return {*inbox_, id};
  }
  /// Sends a request and runs everybody. Fails the test when there is no answer by then.
  template <class Handle, class Message>
  result<coro::detail::response_of<Handle, Message>> ask(const Handle& handle, Message message) {
    auto asked = send(handle, std::move(message));
    run();
    auto answer = asked.answer();
    if (!answer)
      return fail(errc::internal, "no answer");
    return std::move(*answer);
  }
  template <class Handle>
  void kill(const Handle& handle, caf::exit_reason reason = caf::exit_reason::kill) {
    caf::anon_send_exit(handle, reason);
    run();
  }

  configuration config;
  caf::actor_system system;
  caf::scheduler::test_coordinator& scheduler;

private:
  caf::strong_actor_ptr keep_;
  inbox* inbox_;
};

} // namespace sandy::tests
