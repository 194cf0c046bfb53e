// Whether a sandbox is in use, as its data plane tells.

#include "runtime/guest/guest_io.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace std::chrono_literals;
using guest::activity;

namespace {

/// A data plane with one sandbox, on a clock that the test moves.
struct idle_fixture {
  activity::time_point now{1h};
  std::shared_ptr<activity> uses = std::make_shared<activity>([this] { return now; });
  std::shared_ptr<guest::end_state> shared = std::make_shared<guest::end_state>();
  sandbox_id id = make_sandbox_id();
  guest::local_data_plane data;

  idle_fixture() {
    shared->uses = uses;
    data.add(id, std::make_shared<guest::guest_io>("/nonexistent", environment{}, "/workspace", shared),
             uses);
  }
};

} // namespace

TEST_CASE_METHOD(idle_fixture, "a sandbox is idle since its last use ended, and not while one lasts",
                 "[activity]") {
  auto born = now;
  now += 10s;
  CHECK(data.idle_since(id) == born);
  {
    activity::use first{uses};
    {
      activity::use second{uses};
      now += 10s;
    }
    CHECK_FALSE(data.idle_since(id));
    now += 10s;
  }
  CHECK(data.idle_since(id) == now);
  auto ended = now;
  now += 10s;
  CHECK(data.idle_since(id) == ended);
  uses->touch();
  CHECK(data.idle_since(id) == now);
}

TEST_CASE_METHOD(idle_fixture, "news of an earlier use changes nothing", "[activity]") {
  uses->touch_at(now - 1s);
  CHECK(data.idle_since(id) == now);
  uses->touch_at(now + 1s);
  CHECK(data.idle_since(id) == now + 1s);
}

TEST_CASE_METHOD(idle_fixture, "whoever holds a sandbox's data plane keeps it busy, also past its end",
                 "[activity]") {
  auto held = data.find(id);
  auto copy = held;
  REQUIRE(held);
  CHECK_FALSE(data.idle_since(id));
  held = nullptr;
  CHECK_FALSE(data.idle_since(id));
  SECTION("until it is let go") {
    now += 5s;
    copy = nullptr;
    CHECK(data.idle_since(id) == now);
  }
  SECTION("and of a sandbox that is gone nothing is known") {
    data.remove(id);
    CHECK_FALSE(data.idle_since(id));
    CHECK(data.uses_of(id) == nullptr);
    CHECK(data.find(id) == nullptr);
    CHECK_FALSE(uses->idle_since());
  }
}
