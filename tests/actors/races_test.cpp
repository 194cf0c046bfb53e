// The same few requests at once, in thousands of orders in which actors and the kernel may take them.

#include "actors/create_request.hpp"

#include "random_order.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

/// Callers at once, more or less than there are members, some of which are dead or about to be replaced.
struct claims : random_order {
  explicit claims(unsigned seed)
      : random_order(seed) {
    env.settings.flavors["basic"] = {"basic", {}, static_cast<std::uint32_t>(1 + up_to(3)), 0};
    env.settings.pool_refill_rate = 100;
    start_in_order();
    pass(500ms);
  }

  void race() {
    parent = one_in(2) ? made(ask_and_settle(worker, wanted())) : sandbox_id{};
    pass(200ms);
    for (const auto& each : driver.present)
      if (each != parent && one_in(4))
        driver.dead.insert(each);
    for (auto left = 1 + up_to(5); left > 0; --left) {
      begin_claim();
      if (one_in(3))
        retire_any();
      some_steps(12);
    }
    if (!parent.value.empty() && one_in(2)) {
      end_of_parent.emplace(send(worker, terminate_sandbox{alice, parent}));
      some_steps(12);
    }
    settle();
    pass(3s); // a pool that does not answer, refills
  }

  void check() {
    std::set<sandbox_id> given;
    for (const auto& each : asked) {
      REQUIRE(each.answered());
      auto answer = *each.answer();
      if (!answer)
        continue;
      CHECK(given.insert(answer->id).second);
      CHECK(driver.dead.count(answer->id) == 0);
      if (answer->parent.value.empty())
        check_whole(answer->id);
    }
    for (const auto& each : hasty)
      if (each.answered() && each.succeeded())
        CHECK(given.insert((*each.answer())->id).second);
    if (end_of_parent)
      REQUIRE(end_of_parent->succeeded());
    auto alive = ask_and_settle(worker, list_sandboxes{alice});
    REQUIRE(alive);
    for (const auto& each : **alive) {
      CHECK((given.count(each.id) == 1 || each.id == parent));
      CHECK_FALSE((end_of_parent && each.parent == parent));
    }
    check_nobody_is_lost();
  }

private:
  static sandbox_id made(const std::optional<result<sandbox_info>>& answer) {
    REQUIRE(answer);
    REQUIRE(*answer);
    return (*answer)->id;
  }

  void begin_claim() {
    auto request = wanted();
    if (!parent.value.empty() && one_in(2))
      request.parent = parent;
    if (!one_in(3)) {
      asked.push_back(send(worker, request));
      return;
    }
    auto caller = system.spawn<coro::actor<create_request_state, create_request_actor>>(worker, 60s);
    hasty.push_back(send(caller, request));
    some_steps(20);
    caf::anon_send_exit(caller, caf::exit_reason::kill);
  }

  /// What a pool does with a member that is too old, at the worst of moments.
  void retire_any() {
    if (!driver.present.empty())
      caf::anon_send(worker,
                     retire_warm{*std::next(driver.present.begin(),
                                            static_cast<std::ptrdiff_t>(up_to(driver.present.size() - 1)))});
  }

  void check_whole(const sandbox_id& id) {
    CHECK(driver.present.count(id) == 1);
    REQUIRE(records.stored.count(id) == 1);
    CHECK(records.stored.at(id).info.tenant == alice);
    CHECK(records.stored.at(id).info.state == sandbox_state::ready);
  }

  /// What the kernel has is in the store, has an owner or is in the pool, and the pool hands it out.
  void check_nobody_is_lost() {
    std::set<sandbox_id> members;
    std::set<std::uint32_t> slots;
    for (const auto& [id, record] : records.stored) {
      CHECK(driver.present.count(id) == 1);
      CHECK(slots.insert(record.uid_slot).second);
      if (record.info.tenant.value.empty() && driver.dead.count(id) == 0)
        members.insert(id);
    }
    CHECK(driver.present.size() == records.stored.size());
    for (auto left = records.stored.size(); left > 0; --left) {
      auto claimed = ask_and_settle(worker, wanted());
      members.erase(made(claimed));
    }
    CHECK(members.empty());
  }

  sandbox_id parent;
  std::vector<question<sandbox_info>> asked;
  std::vector<question<sandbox_info>> hasty; ///< by callers that went away, before or after their answer
  std::optional<question<sandbox_ended>> end_of_parent;
};

} // namespace

TEST_CASE("one claim is one living sandbox, in whatever order everybody runs", "[races]") {
  for (unsigned seed = 0; seed < 2500; ++seed) {
    INFO("seed " << seed);
    claims at_once{seed};
    at_once.race();
    at_once.check();
  }
}

TEST_CASE("of renew and expiry one wins, and the answer says which", "[races]") {
  unsigned renewed = 0, expired = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    INFO("seed " << seed);
    random_order race{seed};
    race.start_in_order();
    auto made = race.ask_and_settle(race.worker, race.wanted("alice", 60));
    REQUIRE(made);
    auto id = (*made)->id;
    race.scheduler.advance_time(59'900ms);
    std::optional<question<sandbox_info>> renewal;
    if (race.one_in(2)) { // before or after the timer
      race.scheduler.advance_time(100ms);
      race.some_steps(4);
      renewal.emplace(race.send(race.worker, refresh_sandbox{alice, id, 60}));
    } else {
      renewal.emplace(race.send(race.worker, refresh_sandbox{alice, id, 60}));
      race.some_steps(8);
      race.scheduler.advance_time(100ms);
    }
    race.settle();
    REQUIRE(renewal->answered());
    auto won = renewal->succeeded();
    ++(won ? renewed : expired);
    CHECK(race.driver.present.count(id) == (won ? 1 : 0));
    CHECK(race.records.stored.count(id) == (won ? 1 : 0));
    auto found = race.ask_and_settle(race.worker, get_sandbox{alice, id});
    REQUIRE(found);
    CHECK(static_cast<bool>(*found) == won);
    race.pass(58s);
    CHECK(race.driver.present.count(id) == (won ? 1 : 0));
    race.pass(3s);
    CHECK(race.nothing_left());
  }
  CHECK(renewed > 100);
  CHECK(expired > 100);
}

TEST_CASE("a parent that ends in any phase of its descendants takes them all along, the deepest first",
          "[races]") {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    INFO("seed " << seed);
    random_order race{seed};
    race.env.settings.flavors["basic"].warm = static_cast<std::uint32_t>(race.up_to(2));
    race.start_in_order();
    race.pass(300ms);
    auto make = [&](const sandbox_id& parent, std::uint32_t ttl) {
      auto request = race.wanted("alice", ttl);
      request.parent = parent;
      return request;
    };
    auto stranger = (*race.ask_and_settle(race.worker, make({}, 600)))->id;
    auto parent = (*race.ask_and_settle(race.worker, make({}, 5)))->id;
    std::vector<question<sandbox_info>> births;
    std::vector<sandbox_id> parents{parent};
    for (auto left = 2 + race.up_to(3); left > 0; --left) {
      births.push_back(race.send(race.worker, make(parents[race.up_to(parents.size() - 1)], 600)));
      race.some_steps(40);
      if (births.back().answered() && births.back().succeeded())
        parents.push_back((*births.back().answer())->id);
    }
    auto terminated = race.one_in(2);
    std::optional<question<sandbox_ended>> end;
    if (terminated)
      end.emplace(race.send(race.worker, terminate_sandbox{alice, parent}));
    else
      race.scheduler.advance_time(6s);
    race.some_steps(30);
    births.push_back(race.send(race.worker, make(parents.back(), 600))); // too late, or not
    race.settle();
    race.pass(500ms);
    for (const auto& each : births)
      REQUIRE(each.answered());
    if (terminated)
      CHECK(end->succeeded());
    std::set<sandbox_id> buried;
    for (const auto& stone : race.records.stones) {
      CHECK(buried.count(stone.parent) == 0);
      buried.insert(stone.id);
    }
    for (const auto& [id, record] : race.records.stored)
      CHECK((record.info.tenant.value.empty() || id == stranger));
    CHECK(race.driver.present.count(stranger) == 1);
    CHECK(race.driver.present.size() == race.records.stored.size());
  }
}
