#include "actors/room.hpp"

#include "actors/services.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

namespace {

constexpr std::uint64_t gib = 1ull << 30;

runtime::host_load machine_with(std::uint64_t memory_gib, std::uint32_t cores) {
  runtime::host_load load;
  load.cpu_count = cores;
  load.memory_total_bytes = memory_gib * gib;
  load.memory_available_bytes = load.memory_total_bytes;
  load.disk_total_bytes = load.disk_free_bytes = 200 * gib;
  load.pids_total = 32768;
  return load;
}

room room_of(const runtime::host_load& load, std::uint32_t most = 256, room_rules rules = {}) {
  room made{rules, most};
  made.see(load);
  return made;
}

amounts usual(std::uint64_t count) {
  auto one = amounts_of(worker_settings{}.default_limits);
  return {count, count * one.memory_bytes, count * one.cpu_millis, count * one.pids, count * one.disk_bytes};
}

sandbox_id named(const std::string& name) { return {name}; }

candidate gives(const std::string& name, std::uint8_t priority, int idle_since, std::uint64_t memory) {
  return {named(name),
          priority,
          std::chrono::steady_clock::time_point{std::chrono::seconds{idle_since}},
          {{named(name), {1, memory * gib, 0, 0, 0}}}};
}

/// Room for so many sandboxes and GiB of promised memory.
room room_for(std::uint32_t sandboxes, std::uint64_t memory_gib) {
  room_rules rules;
  rules.memory_overcommit = 1000;
  return room_of(machine_with(memory_gib, 64), sandboxes, rules);
}

using ids = std::vector<sandbox_id>;

} // namespace

TEST_CASE("with the defaults a common server holds as many sandboxes as it is told to", "[room]") {
  CHECK_FALSE(room_of(machine_with(24, 2), 500).over(usual(500)));
  CHECK(room_of(machine_with(24, 2), 500).over(usual(501)) == refusal::max_sandboxes);
  CHECK_FALSE(room_of(machine_with(8, 1)).over(usual(256)));
}

TEST_CASE("with the defaults a small machine holds fewer", "[room]") {
  auto small = room_of(machine_with(2, 1));
  CHECK_FALSE(small.over(usual(64)));
  CHECK(small.over(usual(65)) == refusal::memory);
}

TEST_CASE("each thing may be promised so many times over, and no further", "[room]") {
  room_rules rules;
  rules.memory_overcommit = 1500;
  rules.cpu_overcommit = 2000;
  rules.pids_overcommit = 1000;
  rules.disk_overcommit = 500;
  auto here = room_of(machine_with(4, 2), 10, rules);
  const amounts most{10, 6 * gib, 4000, 32768, 100 * gib};
  CHECK_FALSE(here.over(most));
  auto one_more = [&](auto field) {
    auto more = most;
    more.*field += 1;
    return here.over(more);
  };
  CHECK(one_more(&amounts::sandboxes) == refusal::max_sandboxes);
  CHECK(one_more(&amounts::memory_bytes) == refusal::memory);
  CHECK(one_more(&amounts::cpu_millis) == refusal::cpu);
  CHECK(one_more(&amounts::pids) == refusal::pids);
  CHECK(one_more(&amounts::disk_bytes) == refusal::disk);
}

TEST_CASE("a factor of 0 bounds nothing, nor does a machine nobody has looked at", "[room]") {
  const amounts endless{1, ~0ull, ~0ull, ~0ull, ~0ull};
  CHECK_FALSE(room_of(machine_with(1, 1), 1, {0, 0, 0, 0}).over(endless));
  CHECK_FALSE(room{room_rules{}, 1}.over(endless));
  CHECK_FALSE((room{room_rules{}, 1}.short_of()));
}

TEST_CASE("what the machine has left counts, whatever is promised", "[room]") {
  room_rules rules;
  rules.cpu_reserve = 500;
  auto load = machine_with(4, 2);
  CHECK_FALSE(room_of(load, 1, rules).short_of());
  SECTION("memory") {
    load.memory_available_bytes = rules.memory_reserve;
    CHECK_FALSE(room_of(load, 1, rules).short_of());
    load.memory_available_bytes -= 1;
    CHECK(room_of(load, 1, rules).short_of() == refusal::memory_left);
    CHECK(room_of(load, 1, rules).short_of_memory());
  }
  SECTION("cores") {
    load.cpu_ratio = 0.7;
    CHECK_FALSE(room_of(load, 1, rules).short_of());
    load.cpu_ratio = 0.8;
    CHECK(room_of(load, 1, rules).short_of() == refusal::cpu_left);
    CHECK_FALSE(room_of(load).short_of()); // not looked at unless somebody says so
  }
  SECTION("processes") {
    load.pids_used = load.pids_total - rules.pids_reserve + 1;
    CHECK(room_of(load, 1, rules).short_of() == refusal::pids_left);
    CHECK_FALSE(room_of(load, 1, rules).short_of_memory());
  }
  SECTION("disk") {
    load.disk_free_bytes = rules.disk_reserve - 1;
    CHECK(room_of(load, 1, rules).short_of() == refusal::disk_left);
  }
}

TEST_CASE("shares say what is promised, may be promised, and is left", "[room]") {
  auto load = machine_with(4, 2);
  load.cpu_ratio = 0.25;
  load.pids_used = 68;
  load.memory_available_bytes = 3 * gib;
  auto shares = room_of(load, 10).shares({3, gib, 1500, 100, 2 * gib});
  REQUIRE(shares.size() == 5);
  CHECK(shares[0].name == "sandboxes");
  CHECK(shares[0].left == 7);
  CHECK(shares[1].name == "memory");
  CHECK(shares[1].total == 4 * gib);
  CHECK(shares[1].promised == gib);
  CHECK(shares[1].promisable == 128 * gib);
  CHECK(shares[1].left == 3 * gib);
  CHECK(shares[2].name == "cpu");
  CHECK(shares[2].left == 1500);
  CHECK(shares[3].left == 32700);
  CHECK(shares[4].reserve == gib);
}

TEST_CASE("nobody ends while there is room", "[room]") {
  CHECK(choose_victims({gives("a", 3, 1, 1)}, {2, 2 * gib, 0, 0, 0}, room_for(2, 2)).empty());
}

TEST_CASE("the least important end first, and of those the longest idle", "[room]") {
  std::vector<candidate> from{gives("normal", 2, 1, 1), gives("young", 3, 9, 1), gives("old", 3, 5, 1)};
  CHECK(choose_victims(from, {4, 4 * gib, 0, 0, 0}, room_for(3, 9)) == ids{named("old")});
  CHECK(choose_victims(from, {4, 4 * gib, 0, 0, 0}, room_for(2, 9)) == ids{named("old"), named("young")});
  CHECK(choose_victims(from, {4, 4 * gib, 0, 0, 0}, room_for(1, 9)).size() == 3);
}

TEST_CASE("nobody ends when all of them would not be enough", "[room]") {
  CHECK(choose_victims({gives("a", 3, 1, 1), gives("b", 3, 2, 1)}, {3, 9 * gib, 0, 0, 0}, room_for(9, 6))
            .empty());
  CHECK(choose_victims({}, {2, gib, 0, 0, 0}, room_for(1, 6)).empty());
}

TEST_CASE("small ones are spared when a large one is enough alone", "[room]") {
  std::vector<candidate> from{gives("a", 3, 1, 1), gives("b", 3, 2, 1), gives("large", 3, 3, 4)};
  CHECK(choose_victims(from, {4, 10 * gib, 0, 0, 0}, room_for(9, 6)) == ids{named("large")});
  CHECK(choose_victims(from, {4, 10 * gib, 0, 0, 0}, room_for(9, 5)) == ids{named("a"), named("large")});
}

TEST_CASE("what ends with two victims is freed once", "[room]") {
  auto parent = gives("parent", 3, 5, 1);
  parent.frees.push_back({named("child"), {1, 2 * gib, 0, 0, 0}});
  std::vector<candidate> from{gives("child", 3, 1, 2), parent};
  CHECK(choose_victims(from, {4, 10 * gib, 0, 0, 0}, room_for(9, 8)) == ids{named("child")});
  CHECK(choose_victims(from, {4, 10 * gib, 0, 0, 0}, room_for(9, 7)) == ids{named("parent")});
  CHECK(choose_victims(from, {4, 10 * gib, 0, 0, 0}, room_for(9, 6)).empty());
}
