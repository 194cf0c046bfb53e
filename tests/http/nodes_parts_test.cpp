#include "http/nodes/passed_on.hpp"
#include "http/nodes/placement.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

using namespace sandy;
using namespace sandy::http::nodes;

namespace {

/// Always the first.
std::size_t first(std::size_t) { return 0; }

node_view node(std::string name, double used) {
  node_view made;
  made.card.id = made.card.name = std::move(name);
  auto& load = made.card.load;
  load.can_create = true;
  load.max_sandboxes = 100;
  load.sandboxes = static_cast<std::uint32_t>(100 * used);
  load.memory_total_bytes = load.memory_available_bytes = 1 << 30;
  return made;
}

std::shared_ptr<const node_table> table_of(std::vector<node_view> nodes) {
  return std::make_shared<const node_table>(node_table{std::move(nodes)});
}

std::vector<std::string> names(const std::vector<std::shared_ptr<const node_view>>& order) {
  std::vector<std::string> all;
  for (const auto& each : order)
    all.push_back(each->card.name);
  return all;
}

} // namespace

TEST_CASE("of two nodes the one with more left is asked first", "[nodes]") {
  auto table = table_of({node("a", 0.9), node("b", 0.1)});
  CHECK(names(placement(table, {}, first)) == std::vector<std::string>{"b", "a"});
}

TEST_CASE("what runs out first decides", "[nodes]") {
  auto memory = node("a", 0.1), processor = node("b", 0.2);
  memory.card.load.memory_available_bytes = memory.card.load.memory_total_bytes / 10;
  processor.card.load.cpu_ratio = 0.5;
  CHECK(pressure(memory.card.load) == Approx(0.9));
  CHECK(pressure(processor.card.load) == Approx(0.5));
}

TEST_CASE("nodes with the label are asked first, and others after them", "[nodes]") {
  auto labelled = node("a", 0.9);
  labelled.card.labels = {"docker-primary"};
  auto table = table_of({labelled, node("b", 0.1)});
  CHECK(names(placement(table, {"docker-primary", ""}, first)) == std::vector<std::string>{"a", "b"});
  CHECK(names(placement(table, {"nobody", ""}, first)) == std::vector<std::string>{"b", "a"});
}

TEST_CASE("a node with a warm sandbox of the flavor is better", "[nodes]") {
  auto warm = node("a", 0.5);
  warm.card.load.warm = {"basic"};
  auto table = table_of({node("b", 0.1), warm});
  CHECK(names(placement(table, {"", "basic"}, first)).front() == "a");
  CHECK(names(placement(table, {"", "other"}, first)).front() == "b");
}

TEST_CASE("a full node is asked last, and one that takes nothing is not asked", "[nodes]") {
  auto full = node("a", 0.0), cordoned = node("b", 0.0), controller = node("c", 0.0), lost = node("d", 0.0);
  full.card.load.can_create = false;
  cordoned.card.state = node_state::cordoned;
  controller.card.role = node_role::controller;
  lost.card.state = node_state::unreachable;
  auto table = table_of({full, cordoned, controller, lost, node("e", 0.9)});
  CHECK(names(placement(table, {}, first)) == std::vector<std::string>{"e", "a"});
}

TEST_CASE("sandboxes spread over nodes that look alike", "[nodes]") {
  std::vector<node_view> nodes;
  for (int i = 0; i < 10; ++i)
    nodes.push_back(node("n" + std::to_string(i), 0.2));
  auto table = table_of(std::move(nodes));
  std::minstd_rand source{7};
  auto random = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>{0, bound - 1}(source);
  };
  std::map<std::string, int> chosen;
  for (int i = 0; i < 10'000; ++i)
    ++chosen[placement(table, {}, random).front()->card.name];
  REQUIRE(chosen.size() == 10);
  for (const auto& [name, count] : chosen)
    CHECK(count > 700);
}

TEST_CASE("creations that follow each other go to more nodes than one", "[nodes]") {
  node_directory directory;
  auto busy = node("a", 0.5), busier = node("b", 0.5);
  busy.card.load.cpu_ratio = 0.90;
  busier.card.load.cpu_ratio = 0.91;
  busy.card.load.cpu_count = busier.card.load.cpu_count = 4;
  directory.publish({{busy, busier}});
  std::map<std::string, int> chosen;
  for (int i = 0; i < 10; ++i) {
    auto name = placement(directory.with_sent(), {}, first).front()->card.name;
    directory.sent(name);
    ++chosen[name];
  }
  CHECK(chosen["a"] == 5);
  CHECK(chosen["b"] == 5);
  directory.forget_sent("a");
  directory.forget_sent("b");
  CHECK(placement(directory.with_sent(), {}, first).front()->card.name == "a");
}

TEST_CASE("what a node knows of a request is read as it was written", "[nodes]") {
  passed_on known;
  known.caller = {tenant_id{"al\"ice\n"}, sandbox_id{"0123456789abcdef01234567"}};
  known.caller.admin = true;
  known.inside = {tenant_id{"bob"}, {}};
  known.address = "2001:db8::1";
  known.arrival_port = 3000;
  known.request_id = "r-1";
  known.host = "0123456789abcdef01234567.sandy.localhost";
  known.budget.limit = 10;
  known.budget.remaining = 9;
  known.budget.reset = 1;
  auto field = to_field(known);
  CHECK(field.find_first_of("\r\n ") == std::string::npos);
  auto read = read_field(field);
  REQUIRE(read);
  CHECK(read->caller == known.caller);
  CHECK(read->inside == known.inside);
  CHECK(read->address == known.address);
  CHECK(read->arrival_port == known.arrival_port);
  CHECK(read->request_id == known.request_id);
  CHECK(read->host == known.host);
  CHECK(read->budget.remaining == 9);
  CHECK_FALSE(read_field(""));
  CHECK_FALSE(read_field("AAAA"));
  CHECK_FALSE(read_field(field.substr(8)));
}
