#include "actors/machine.hpp"
#include "actors/rate_limiter.hpp"
#include "actors/tenant_limits.hpp"

#include <caf/make_actor.hpp>

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

using limiter_type = coro::actor<rate_limiter_state, rate_limiter_actor>;

const tenant_id alice{"alice"};
const tenant_id bob{"bob"};

/// A rate limiter on the virtual clock.
class limiter_machine : public machine {
public:
  limiter_machine() {
    tenant_limits limits{2, 4, 3, 0, 0, 2, 0};
    env.limits = std::make_shared<limit_table>(limits);
    limiter = system.spawn<limiter_type>(&env);
    run();
  }
  ~limiter_machine() { kill(limiter); }

  budget_kind asked(const tenant_id& tenant, request_cost cost = request_cost::plain,
                    std::uint64_t lease = 0) {
    auto decided = ask(limiter, admit_request{tenant, cost, lease});
    REQUIRE(decided);
    return decided->refused_by;
  }
  std::size_t budgets() const {
    return static_cast<limiter_type*>(caf::actor_cast<caf::abstract_actor*>(limiter))->state().budgets();
  }
  bool counted(const std::string& series) const {
    return numbers.expose().find(series + "\n") != std::string::npos;
  }

  rate_limiter_actor limiter;
};

/// Somebody else who asks, and can die.
class other_asker {
public:
  explicit other_asker(caf::actor_system& system) {
    caf::actor_config config{system.dummy_execution_unit()};
    self_ =
        caf::make_actor<inbox, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, config);
  }
  void take_stream(const rate_limiter_actor& limiter, std::uint64_t lease) {
    auto* target = caf::actor_cast<caf::abstract_actor*>(limiter);
    target->enqueue(caf::make_mailbox_element(self_, caf::message_id{lease}.with_normal_priority(), {},
                                              admit_request{alice, request_cost::stream, lease}),
                    nullptr);
  }
  void die() {
    static_cast<inbox*>(caf::actor_cast<caf::abstract_actor*>(self_))
        ->cleanup(caf::exit_reason::kill, nullptr);
  }

private:
  caf::strong_actor_ptr self_;
};

} // namespace

TEST_CASE_METHOD(limiter_machine,
                 "a tenant over its rate is refused, and let through again when time has passed",
                 "[rate_limiter]") {
  for (int i = 0; i < 4; ++i)
    CHECK(asked(alice) == budget_kind::none);
  auto no = ask(limiter, admit_request{alice});
  REQUIRE(no);
  CHECK(no->refused_by == budget_kind::requests);
  CHECK(no->limit == 4);
  CHECK(no->remaining == 0);
  CHECK(no->retry_after == 1);
  CHECK(no->reset == 2);
  CHECK(counted("sandy_limiter_refusals_total{kind=\"requests\"} 1"));
  CHECK(asked(bob) == budget_kind::none); // everybody has a budget of their own

  advance(500ms);
  CHECK(asked(alice) == budget_kind::none);
  CHECK(asked(alice) == budget_kind::requests);
}

TEST_CASE_METHOD(limiter_machine, "creations have a budget besides that of requests", "[rate_limiter]") {
  for (int i = 0; i < 3; ++i)
    CHECK(asked(alice, request_cost::creation) == budget_kind::none);
  CHECK(asked(alice, request_cost::creation) == budget_kind::creations);
  CHECK(counted("sandy_limiter_refusals_total{kind=\"creations\"} 1"));
  advance(20s);
  CHECK(asked(alice, request_cost::creation) == budget_kind::none);
}

TEST_CASE_METHOD(limiter_machine, "a stream holds its place until it is given back, once", "[rate_limiter]") {
  CHECK(asked(alice, request_cost::stream, 1) == budget_kind::none);
  CHECK(asked(alice, request_cost::stream, 2) == budget_kind::none);
  CHECK(asked(alice, request_cost::stream, 3) == budget_kind::streams);
  CHECK(counted("sandy_limiter_refusals_total{kind=\"streams\"} 1"));
  CHECK(asked(bob, request_cost::stream, 4) == budget_kind::none);
  advance(1h);
  CHECK(asked(alice, request_cost::stream, 5) == budget_kind::streams);
  for (int i = 0; i < 2; ++i) // 3 was refused: nobody holds it
    for (std::uint64_t lease : {1, 3}) {
      caf::anon_send(limiter, return_lease{lease});
      run();
    }
  CHECK(asked(alice, request_cost::stream, 6) == budget_kind::none);
  CHECK(asked(alice, request_cost::stream, 7) == budget_kind::streams);
}

TEST_CASE_METHOD(limiter_machine, "places come back when their holder dies", "[rate_limiter]") {
  other_asker edge{system};
  edge.take_stream(limiter, 101);
  edge.take_stream(limiter, 102);
  run();
  CHECK(asked(alice, request_cost::stream, 1) == budget_kind::streams);
  advance(2s);
  caf::anon_send(limiter, return_lease{101});
  run();
  CHECK(asked(alice, request_cost::stream, 2) == budget_kind::none);
  CHECK(asked(alice, request_cost::stream, 3) == budget_kind::streams);
  advance(2s);
  edge.die();
  run();
  CHECK(asked(alice, request_cost::stream, 4) == budget_kind::none); // 102's; that of 2 is another's
  CHECK(asked(alice, request_cost::stream, 5) == budget_kind::streams);
}

TEST_CASE_METHOD(limiter_machine, "idle tenants are forgotten, those with streams are not",
                 "[rate_limiter]") {
  for (int i = 0; i < 5000; ++i)
    asked({"tenant-" + std::to_string(i)});
  CHECK(asked(alice, request_cost::stream, 1) == budget_kind::none);
  CHECK(asked(bob, request_cost::creation) == budget_kind::none);
  CHECK(budgets() == 5002);
  advance(60s);
  CHECK(budgets() == 1);
  advance(1h);
  CHECK(budgets() == 1);
  caf::anon_send(limiter, return_lease{1});
  run();
  advance(60s);
  CHECK(budgets() == 0);
}

TEST_CASE_METHOD(limiter_machine, "limits change while the server runs", "[rate_limiter]") {
  CHECK(*ask(limiter, get_tenant_limits{alice}) == env.limits->of(alice));
  for (int i = 0; i < 4; ++i)
    asked(alice);
  CHECK(asked(alice) == budget_kind::requests);

  tenant_limits more{2, 10, 0, 0, 7, 0, 4096};
  auto set = ask(limiter, set_tenant_limits{alice, more});
  REQUIRE(set);
  CHECK(*set == more);
  CHECK(*ask(limiter, get_tenant_limits{alice}) == more);
  CHECK(env.limits->of(alice) == more); // where the worker looks
  CHECK(env.limits->of(bob).request_burst == 4);
  for (int i = 0; i < 6; ++i) // four of ten are used
    CHECK(asked(alice) == budget_kind::none);
  CHECK(asked(alice) == budget_kind::requests);

  advance(1h); // forgotten, and limited as before when it comes back
  CHECK(budgets() == 0);
  for (int i = 0; i < 10; ++i)
    CHECK(asked(alice) == budget_kind::none);
  CHECK(asked(alice) == budget_kind::requests);
}
