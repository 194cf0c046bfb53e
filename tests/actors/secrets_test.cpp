#include "machine.hpp"

#include "runtime/network_gate.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};
const secret key{"KEY", {"the real value"}, {"api.example.com"}, false};

/// What the gate of one sandbox was given, in its order.
struct given {
  std::vector<sandbox_secrets> secrets;
  std::vector<std::string> calls;
};

class gate_in_memory final : public runtime::network_gate {
public:
  explicit gate_in_memory(std::shared_ptr<given> what)
      : what_(std::move(what)) {}
  void post(std::function<void()> work) override { work(); }
  void apply(const std::vector<network_policy>&) override { what_->calls.emplace_back("apply"); }
  void use_secrets(const sandbox_secrets& secrets) override {
    what_->calls.emplace_back("secrets");
    what_->secrets.push_back(secrets);
  }
  void close() noexcept override {}
  network_usage usage() const override { return {}; }

private:
  std::shared_ptr<given> what_;
};

struct with_secrets : machine {
  with_secrets() {
    env.open_gate = [this](runtime::network_capture, const sandbox_id& id, std::uint64_t) {
      gates[id] = std::make_shared<given>();
      return std::make_shared<gate_in_memory>(gates[id]);
    };
    env.place_secrets = [this](std::vector<secret> all) -> result<sandbox_secrets> {
      sandbox_secrets made;
      for (auto& each : all)
        made.all.push_back({std::move(each), "placeholder-" + std::to_string(++placed)});
      made.authority = {{"its key"}, "its certificate"};
      return made;
    };
    env.trust_authority = [this](const sandbox_id& inside, std::string certificate) -> coro::task<void> {
      trusted.emplace_back(inside, std::move(certificate));
      if (fails_to_trust)
        co_return fail(errc::disk_full, "There is no room");
      co_return caf::unit;
    };
  }
  ~with_secrets() { end_all(); }

  create_sandbox wish(std::vector<secret> secrets, const sandbox_id& parent = {}) const {
    auto request = wanted("alice", 0);
    request.secrets = std::move(secrets);
    request.parent = parent;
    return request;
  }
  sandbox_id make(std::vector<secret> secrets, const sandbox_id& parent = {}) {
    auto made = ask(worker, wish(std::move(secrets), parent));
    REQUIRE(made);
    return made->id;
  }

  std::map<sandbox_id, std::shared_ptr<given>> gates;
  std::vector<std::pair<sandbox_id, std::string>> trusted;
  bool fails_to_trust = false;
  int placed = 0;
};

} // namespace

TEST_CASE_METHOD(with_secrets, "a sandbox's gate gets its secrets before anything goes through",
                 "[secrets]") {
  start();
  auto id = make({key});
  REQUIRE(gates[id]->secrets.size() == 1);
  CHECK(gates[id]->secrets[0].all == std::vector{placed_secret{key, "placeholder-1"}});
  CHECK(gates[id]->calls == std::vector<std::string>{"secrets", "apply"});
  CHECK(trusted == std::vector<std::pair<sandbox_id, std::string>>{{id, "its certificate"}});
  CHECK(ask(worker, get_sandbox{alice, id})->secrets ==
        std::vector{secret_use{"KEY", {"api.example.com"}, false}});
  CHECK(records.stored[id].secrets == gates[id]->secrets[0]);
  CHECK(records.stored[id].env.empty());
  REQUIRE(ask(worker, set_network{alice, id, {network_mode::none, {}, {}, 0}}));
  CHECK(gates[id]->secrets.size() == 1); // they do not change
}

TEST_CASE_METHOD(with_secrets, "a sandbox without secrets trusts nobody new", "[secrets]") {
  start();
  auto id = make({});
  CHECK(gates[id]->secrets.empty());
  CHECK(trusted.empty());
  CHECK(ask(worker, get_sandbox{alice, id})->secrets.empty());
}

TEST_CASE_METHOD(with_secrets, "a warm sandbox gets its owner's secrets", "[secrets]") {
  env.settings.flavors["basic"].warm = 1;
  start();
  advance(2s);
  REQUIRE(gates.size() == 1);
  auto warm = gates.begin()->first;
  CHECK(gates[warm]->calls.empty());
  REQUIRE(make({key}) == warm);
  CHECK(gates[warm]->calls == std::vector<std::string>{"secrets", "apply"});
  CHECK(trusted.size() == 1);
  CHECK(records.stored[warm].secrets.all.size() == 1);
}

TEST_CASE_METHOD(with_secrets, "children have no secrets but their own", "[secrets]") {
  start();
  auto parent = make({key});
  auto child = make({}, parent);
  CHECK(gates[child]->secrets.empty());
  auto other = make({key}, parent);
  REQUIRE(gates[other]->secrets.size() == 1);
  CHECK(gates[other]->secrets[0].all[0].placeholder != gates[parent]->secrets[0].all[0].placeholder);
}

TEST_CASE_METHOD(with_secrets, "secrets outlive the server", "[secrets]") {
  start();
  auto id = make({key});
  auto before = records.stored[id].secrets;
  kill(worker);
  run();
  gates.clear();
  start();
  REQUIRE(gates[id]->secrets.size() == 1);
  CHECK(gates[id]->secrets[0] == before);
  CHECK(gates[id]->calls == std::vector<std::string>{"secrets", "apply"});
}

TEST_CASE_METHOD(with_secrets, "a sandbox that cannot be given its secrets is not made", "[secrets]") {
  start();
  fails_to_trust = true;
  auto refused = ask(worker, wish({key}));
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::disk_full);
  fails_to_trust = false;
  env.place_secrets = nullptr;
  refused = ask(worker, wish({key}));
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::feature_unavailable);
  CHECK(std::none_of(records.stored.begin(), records.stored.end(),
                     [](const auto& each) { return !each.second.secrets.all.empty(); }));
}
