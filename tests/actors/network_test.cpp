#include "machine.hpp"

#include "runtime/network_gate.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};

/// What a sandbox's gate was told, after the sandbox, too.
struct told {
  std::vector<network_policy> policies;
  int changes = 0;
  bool gone = false;
  network_usage usage;
};

class gate_in_memory final : public runtime::network_gate {
public:
  explicit gate_in_memory(std::shared_ptr<told> what)
      : what_(std::move(what)) {}
  ~gate_in_memory() override { what_->gone = true; }
  void post(std::function<void()> work) override { work(); }
  void apply(const std::vector<network_policy>& all_of) override {
    what_->policies = all_of;
    ++what_->changes;
  }
  void use_secrets(const sandbox_secrets&) override {}
  void close() noexcept override {}
  network_usage usage() const override { return what_->usage; }

private:
  std::shared_ptr<told> what_;
};

struct networked : machine {
  networked() {
    env.open_gate = [this](runtime::network_capture, const sandbox_id& id, std::uint64_t used) {
      gates[id] = std::make_shared<told>();
      gates[id]->usage.received_bytes = used;
      return std::make_shared<gate_in_memory>(gates[id]);
    };
    env.store_calls = [this](const std::function<void()>& call) {
      if (stored_before_full && (*stored_before_full)-- == 0)
        records.full = true;
      call();
    };
  }
  ~networked() { end_all(); }

  create_sandbox with(network_policy policy, const sandbox_id& parent = {}) const {
    auto request = wanted("alice", 0);
    request.parent = parent;
    request.network = std::move(policy);
    return request;
  }
  sandbox_id make(network_policy policy, const sandbox_id& parent = {}) {
    auto made = ask(worker, with(std::move(policy), parent));
    REQUIRE(made);
    return made->id;
  }
  result<network_report> set(const sandbox_id& id, network_policy policy, principal caller = alice) {
    auto report = ask(worker, set_network{std::move(caller), id, std::move(policy)});
    if (!report)
      return std::move(report.error());
    return std::move(*report);
  }

  std::map<sandbox_id, std::shared_ptr<told>> gates;
  std::optional<int> stored_before_full; ///< calls of the store
};

const network_policy usual{}, nothing{network_mode::none, {}, {}, 0},
    internet{network_mode::internet, {}, {}, 0};
const network_policy one_host{network_mode::internet, {"good.example"}, {}, 0};

} // namespace

TEST_CASE_METHOD(networked, "a sandbox has the network that it asks for, else the configured one",
                 "[network]") {
  env.settings.default_network = network_mode::platform;
  start();
  auto first = make(usual), second = make(one_host);
  CHECK(ask(worker, get_sandbox{alice, first})->network.mode == network_mode::platform);
  CHECK(ask(worker, get_sandbox{alice, second})->network == one_host);
  CHECK(gates[second]->policies == std::vector{one_host});
  CHECK(records.stored[second].info.network == one_host);
}

TEST_CASE_METHOD(networked, "nobody gets more than the installation gives", "[network]") {
  env.settings.max_network = network_mode::platform;
  start();
  auto id = make(internet);
  CHECK(ask(worker, get_sandbox{alice, id})->network.mode == network_mode::platform);
  CHECK(code_of(set(id, internet).error()) == errc::forbidden);
}

TEST_CASE_METHOD(networked, "a change holds at once, and is stored", "[network]") {
  start();
  auto id = make(usual);
  auto report = set(id, one_host);
  REQUIRE(report);
  CHECK(report->policy == one_host);
  CHECK(gates[id]->policies == std::vector{one_host});
  CHECK(records.stored[id].info.network == one_host);
  CHECK(ask(worker, get_network{alice, id})->policy == one_host);
  // The lists alone: the mode stays.
  CHECK(set(id, {network_mode::usual, {"other.example"}, {}, 0})->policy.mode == network_mode::internet);
}

TEST_CASE_METHOD(networked, "a change that cannot be stored does not hold", "[network]") {
  start();
  auto id = make(one_host);
  records.full = true;
  CHECK_FALSE(set(id, internet));
  CHECK(gates[id]->policies == std::vector{one_host});
  CHECK(ask(worker, get_network{alice, id})->policy == one_host);
  records.full = false;
}

TEST_CASE_METHOD(networked, "a sandbox's token makes a network stricter only", "[network]") {
  start();
  auto id = make(one_host);
  const principal inside{alice, id};
  CHECK(code_of(set(id, internet, inside).error()) == errc::forbidden);
  CHECK(code_of(set(id, {network_mode::internet, {"*.example"}, {}, 0}, inside).error()) == errc::forbidden);
  CHECK(set(id, {network_mode::internet, {"good.example:443"}, {}, 9}, inside));
  CHECK(code_of(set(id, one_host, inside).error()) == errc::forbidden); // nor back
  CHECK(set(id, internet));                                             // its tenant may
  CHECK(code_of(set(make(usual), nothing, inside).error()) == errc::sandbox_not_found);
}

TEST_CASE_METHOD(networked, "a child gets its parent's network, and never more", "[network]") {
  start();
  auto parent = make(one_host);
  auto child = make(usual, parent), greedy = make(internet, parent), grandchild = make(internet, greedy);
  CHECK(ask(worker, get_sandbox{alice, child})->network == one_host);
  CHECK(gates[child]->policies == std::vector{one_host, one_host});
  CHECK(gates[greedy]->policies == std::vector{internet, one_host});
  CHECK(gates[grandchild]->policies == std::vector{internet, internet, one_host});
  auto none = make(nothing);
  CHECK(ask(worker, get_sandbox{alice, make(internet, none)})->network.mode == network_mode::none);
}

TEST_CASE_METHOD(networked, "a change of a parent's network reaches its descendants", "[network]") {
  start();
  auto parent = make(usual);
  auto child = make(usual, parent), grandchild = make(usual, child), stranger = make(usual);
  REQUIRE(set(parent, one_host));
  CHECK(gates[child]->policies == std::vector{internet, one_host});
  CHECK(gates[grandchild]->policies == std::vector{internet, internet, one_host});
  CHECK(gates[stranger]->policies == std::vector{internet});
  CHECK(records.stored[grandchild].network_bounds.back() == network_bound{parent, one_host});
  REQUIRE(set(parent, nothing));
  CHECK(gates[grandchild]->policies == std::vector{internet, internet, nothing});
}

TEST_CASE_METHOD(networked, "a child that is being made meets the change that came meanwhile", "[network]") {
  start();
  auto parent = make(usual);
  held = true;
  auto pending = send(worker, with(usual, parent));
  run();
  auto changed = send(worker, set_network{alice, parent, one_host});
  run();
  held = false;
  release();
  run();
  REQUIRE(pending.succeeded());
  REQUIRE(changed.succeeded());
  sandbox_id child;
  for (const auto& [id, record] : records.stored)
    if (record.info.parent == parent)
      child = id;
  REQUIRE_FALSE(child.value.empty());
  CHECK(gates[child]->policies.back() == one_host);
  CHECK(records.stored[child].network_bounds == std::vector<network_bound>{{parent, one_host}});
}

TEST_CASE_METHOD(networked, "a warm sandbox has no policy before it has an owner", "[network]") {
  env.settings.flavors["basic"].warm = 1;
  start();
  advance(2s);
  REQUIRE(gates.size() == 1);
  auto warm = gates.begin()->first;
  CHECK(gates[warm]->changes == 0);
  auto claimed = make(one_host);
  REQUIRE(claimed == warm);
  CHECK(gates[warm]->policies == std::vector{one_host});
}

TEST_CASE_METHOD(networked, "a sandbox that ends lets its network go", "[network]") {
  start();
  auto id = make(usual);
  REQUIRE(ask(worker, terminate_sandbox{alice, id}));
  CHECK(gates[id]->gone);
}

TEST_CASE_METHOD(networked, "a network outlives the server, as it was", "[network]") {
  start();
  auto parent = make(usual);
  auto child = make(usual, parent);
  REQUIRE(set(parent, one_host));
  records.stored[child].network_bytes = 77;
  kill(worker);
  run();
  gates.clear();
  start();
  CHECK(gates[child]->policies == std::vector{internet, one_host});
  CHECK(gates[child]->usage.received_bytes == 77);
  REQUIRE(set(parent, nothing));
  CHECK(gates[child]->policies == std::vector{internet, nothing});
}

TEST_CASE_METHOD(networked, "a child that was not told of a change is bound by it after a crash",
                 "[network]") {
  start();
  auto parent = make(usual);
  auto child = make(usual, parent), grandchild = make(usual, child);
  kill(worker);
  run();
  gates.clear();
  records.stored[parent].info.network = one_host; // stored, and the server was killed then
  start();
  CHECK(gates[parent]->policies == std::vector{one_host});
  CHECK(gates[child]->policies == std::vector{internet, one_host});
  CHECK(gates[grandchild]->policies == std::vector{internet, internet, one_host});
}

TEST_CASE_METHOD(networked, "a bound that cannot be stored holds nevertheless", "[network]") {
  start();
  auto parent = make(usual);
  auto child = make(usual, parent);
  stored_before_full = 1; // the parent's
  CHECK_FALSE(set(parent, one_host));
  records.full = false;
  CHECK(gates[parent]->policies == std::vector{one_host});
  CHECK(gates[child]->policies == std::vector{internet, one_host});
}

TEST_CASE_METHOD(networked, "what went through is stored, and a spent bound is told once", "[network]") {
  std::vector<life_event> events;
  env.publish = [&](const life_event& event) { events.push_back(event); };
  start();
  auto id = make({network_mode::internet, {}, {}, 100});
  gates[id]->usage.sent_bytes = 60;
  gates[id]->usage.received_bytes = 50;
  gates[id]->usage.spent = true;
  for (int i = 0; i < 3; ++i) {
    advance(5s);
  }
  CHECK(records.stored[id].network_bytes == 110);
  CHECK(std::count_if(events.begin(), events.end(),
                      [](const auto& event) { return event.type == life_event_type::network_spent; }) == 1);
}

TEST_CASE_METHOD(networked, "where the kernel cannot capture, sandboxes have no network and say so",
                 "[network]") {
  driver.fail_capture = true;
  start();
  auto id = make(internet);
  CHECK(ask(worker, get_sandbox{alice, id})->network.mode == network_mode::none);
  CHECK(set(id, internet)->policy.mode == network_mode::none);
}
