#include "actors/membership.hpp"

#include "machine.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <set>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

/// A few nodes with one worker, that reach each other in memory.
struct town : machine {
  struct node {
    node_directory directory;
    std::unique_ptr<membership_services> env;
    membership_actor members;
    node_card card;
    node_state remembered = node_state::ready;
  };

  town() { start(); }
  ~town() {
    for (auto& [name, each] : nodes)
      if (each.members)
        kill(each.members);
    end_all();
  }

  static node_card card_of(const std::string& name, std::uint16_t port) {
    node_card card;
    card.id = "00000" + name;
    card.name = "node-" + name;
    card.host = "10.0.0.1";
    card.port = port;
    card.token_secret = "secret-" + name;
    return card;
  }
  node& begin(const std::string& name, std::vector<std::uint16_t> seeds = {}) {
    auto port = static_cast<std::uint16_t>(7000 + name[0]);
    auto card = card_of(name, port);
    if (auto found = cards.find(name); found != cards.end())
      card = found->second;
    return begin(name, card, std::move(seeds));
  }
  node& begin(const std::string& name, node_card card, std::vector<std::uint16_t> seeds) {
    auto& made = nodes[name];
    made.card = card;
    made.env.reset(new membership_services{
        .knock = [this, name](node_address where) { return knock(name, where); },
        .connect = [this](const std::string&, std::uint16_t port) { return connect(port); },
        .remember = [&made](node_state wish) -> result<void> {
          made.remembered = wish;
          return caf::unit;
        },
        .calls = [](std::function<void()> call) { call(); },
        .connections = [](std::function<void()> call) { call(); },
        .directory = made.directory,
        .abandon = [this](const node_card& lost) { abandoned.push_back(lost.name); },
        .wall_clock = [this] { return wall(); }});
    std::vector<node_address> all;
    for (auto port : seeds)
      all.push_back({"10.0.0.1", port});
    made.members =
        system.spawn<coro::actor<membership_state, membership_actor>>(made.env.get(), card, all, worker);
    run();
    return made;
  }
  void end(const std::string& name) {
    kill(nodes[name].members);
    nodes[name].members = nullptr;
    run();
  }
  coro::task<node_door> knock(std::string from, node_address where) {
    for (auto& [name, each] : nodes)
      if (each.card.port == where.port && each.members && !cut.contains({from, name}))
        co_return node_door{each.card.id, each.card.host, each.card.port, name == from};
    co_return fail(errc::upstream_error, "nobody is there");
  }
  result<membership_actor> connect(std::uint16_t port) {
    for (auto& [name, each] : nodes)
      if (each.card.port == port && each.members)
        return each.members;
    return fail(errc::upstream_error, "nobody listens");
  }
  std::string known_by(const std::string& name) {
    std::string all;
    for (const auto& each : nodes[name].directory.now()->nodes)
      all += (all.empty() ? "" : " ") + each.card.name + ":" + to_string(each.card.state);
    return all;
  }
  void pass(std::chrono::milliseconds time) {
    for (; time > 0ms; time -= 500ms)
      advance(500ms);
  }

  std::map<std::string, node> nodes;
  std::map<std::string, node_card> cards;
  std::set<std::pair<std::string, std::string>> cut;
  std::vector<std::string> abandoned;
};

constexpr std::uint16_t port_of_a = 7000 + 'a';

} // namespace

TEST_CASE_METHOD(town, "a node that is alone is its own cluster", "[cluster]") {
  auto& a = begin("a");
  CHECK(known_by("a") == "node-a:ready");
  CHECK(a.directory.now()->self() != nullptr);
  CHECK(a.directory.now()->self()->card.load.max_sandboxes == env.settings.max_sandboxes);
}

TEST_CASE_METHOD(town, "nodes that join one node come to know each other", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  begin("c", {port_of_a});
  pass(2s);
  for (auto name : {"a", "b", "c"})
    CHECK(known_by(name) == "node-a:ready node-b:ready node-c:ready");
  CHECK(nodes["c"].directory.now()->find("00000b")->card.token_secret == "secret-b");
  CHECK_FALSE(nodes["c"].directory.now()->find("00000b")->self);
}

TEST_CASE_METHOD(town, "a node is told how the others do", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  REQUIRE(ask(worker, wanted()));
  pass(2s);
  CHECK(nodes["a"].directory.now()->find("00000b")->card.load.sandboxes == 1);
}

TEST_CASE_METHOD(town, "a node that dies is unreachable at once, and forgotten later", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  pass(2s);
  end("b");
  CHECK(known_by("a") == "node-a:ready node-b:unreachable");
  CHECK(abandoned.empty()); // what it still says of itself is heard
  pass(7s);
  CHECK(abandoned == std::vector<std::string>{"node-b"});
  CHECK(known_by("a") == "node-a:ready node-b:unreachable");
  pass(4s);
  CHECK(known_by("a") == "node-a:ready");
  begin("b", {port_of_a});
  pass(2s);
  CHECK(known_by("a") == "node-a:ready node-b:ready");
}

TEST_CASE_METHOD(town, "a node that comes back is found again by those that know it", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  pass(2s);
  end("a");
  CHECK(known_by("b") == "node-a:unreachable node-b:ready");
  begin("a");
  pass(3s);
  CHECK(known_by("b") == "node-a:ready node-b:ready");
  CHECK(known_by("a") == "node-a:ready node-b:ready");
}

TEST_CASE_METHOD(town, "a node with the name of another is refused", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  auto twin = card_of("c", 7000 + 'c');
  twin.name = "node-b";
  begin("c", twin, {port_of_a});
  pass(3s);
  CHECK(known_by("a") == "node-a:ready node-b:ready");
  CHECK(known_by("c") == "node-b:ready");
}

TEST_CASE_METHOD(town, "any node can be told to cordon another, and all hear of it", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  begin("c", {port_of_a});
  pass(2s);
  auto told = ask(nodes["c"].members, steer_node{"node-b", node_state::cordoned});
  REQUIRE(told);
  CHECK(told->card.state == node_state::cordoned);
  CHECK_FALSE(told->self);
  CHECK(nodes["b"].remembered == node_state::cordoned);
  CHECK(known_by("a") == "node-a:ready node-b:cordoned node-c:ready");
  auto unknown = ask(nodes["a"].members, steer_node{"node-x", node_state::cordoned});
  CHECK(code_of(unknown.error()) == errc::route_not_found);
  end("b");
  auto gone = ask(nodes["a"].members, steer_node{"node-b", node_state::ready});
  CHECK(code_of(gone.error()) == errc::upstream_error);
}

TEST_CASE_METHOD(town, "sandboxes of all nodes that answer are listed", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  pass(2s);
  auto made = ask(worker, wanted());
  REQUIRE(made);
  auto all = ask(nodes["a"].members, list_cluster_sandboxes{{tenant_id{"alice"}, {}}});
  REQUIRE(all);
  CHECK(all->size() == 2); // both nodes have the same worker here
  end("b");
  all = ask(nodes["a"].members, list_cluster_sandboxes{{tenant_id{"alice"}, {}}});
  REQUIRE(all);
  CHECK(all->size() == 1);
}

TEST_CASE_METHOD(town, "what all nodes have left is told as of one machine, without controllers",
                 "[cluster]") {
  begin("a");
  auto controller = card_of("b", 7000 + 'b');
  controller.role = node_role::controller;
  begin("b", controller, {port_of_a});
  begin("c", {port_of_a});
  pass(2s);
  for (auto name : {"a", "b", "c"}) {
    auto all = ask(nodes[name].members, get_cluster_resources{});
    REQUIRE(all);
    CHECK(all->can_create);
    CHECK(all->max_sandboxes == 2 * env.settings.max_sandboxes);
    CHECK(all->cpu_count == 2 * host.cpu_count);
    CHECK(all->memory_total_bytes == 2 * host.memory_total_bytes);
    CHECK(all->room.shares.size() == ask(worker, get_resources{})->room.shares.size());
  }
  end("a");
  end("c");
  auto nobody = ask(nodes["b"].members, get_cluster_resources{});
  REQUIRE(nobody);
  CHECK_FALSE(nobody->can_create);
  CHECK_FALSE(nobody->reject_reason.empty());
}

TEST_CASE_METHOD(town, "nodes that lost each other meet again through one that both know", "[cluster]") {
  begin("a");
  begin("b", {port_of_a});
  cut = {{"b", "c"}, {"c", "b"}};
  begin("c", {port_of_a});
  pass(5s);
  CHECK(known_by("c") == "node-a:ready node-c:ready");
  cut.clear();
  pass(30s);
  CHECK(known_by("b") == "node-a:ready node-b:ready node-c:ready");
  CHECK(known_by("c") == "node-a:ready node-b:ready node-c:ready");
}

TEST_CASE_METHOD(town, "a copy of a node's data directory makes no second node", "[cluster]") {
  auto& a = begin("a");
  auto twin = a.card;
  twin.port = 7999;
  begin("t", twin, {port_of_a});
  pass(3s);
  CHECK(known_by("a") == "node-a:ready");
  CHECK(known_by("t") == "node-a:ready"); // itself
  begin("b", {port_of_a, 7999});
  pass(5s);
  auto table = nodes["b"].directory.now();
  REQUIRE(table->find(a.card.id) != nullptr);
  const auto first = table->find(a.card.id)->card.port;
  pass(20s);
  CHECK(nodes["b"].directory.now()->find(a.card.id)->card.port == first);
}
