#include "tests/store/fixture.hpp"

#include <SQLiteCpp/Database.h>

using namespace sandy;

namespace {

life_event make_event(std::uint64_t number) {
  return {number,
          1'770'000'000'000 + static_cast<unix_millis>(number),
          {"tenant-" + std::to_string(number % 3)},
          {"46da12d345fb7c0146da12d3"},
          {number % 2 == 0 ? "" : "56da12d345fb7c0146da12d3"},
          static_cast<life_event_type>(number % life_event_types),
          static_cast<end_reason>(number % 4)};
}

std::vector<life_event> make_events(std::uint64_t first, std::uint64_t last) {
  std::vector<life_event> events;
  for (auto number = first; number <= last; ++number)
    events.push_back(make_event(number));
  return events;
}

} // namespace

TEST_CASE("events are read back as they were, in order, also by the next server", "[store]") {
  store_directory directory;
  REQUIRE(directory.open()->add_events(make_events(1, 7), 100));
  auto store = directory.open();
  REQUIRE(store->add_events(make_events(8, 9), 100));
  auto events = store->events();
  REQUIRE(events);
  CHECK(*events == make_events(1, 9));
}

TEST_CASE("only the newest events are kept, whatever holes their numbers have", "[store]") {
  store_directory directory;
  auto store = directory.open();
  REQUIRE(store->add_events(make_events(1, 4), 5));
  CHECK(store->events()->size() == 4);
  REQUIRE(store->add_events(make_events(1000, 1002), 5));
  auto events = store->events();
  REQUIRE(events);
  REQUIRE(events->size() == 5);
  CHECK(events->front().sequence == 3);
  CHECK(events->back().sequence == 1002);
}

TEST_CASE("events whose number is taken are refused as a whole", "[store]") {
  store_directory directory;
  auto store = directory.open();
  REQUIRE(store->add_events(make_events(5, 5), 100));
  CHECK(code_of(store->add_events(make_events(3, 6), 100).error()) == errc::internal);
  CHECK(*store->events() == make_events(5, 5));
}

TEST_CASE("a damaged event is an error and no made-up event", "[store]") {
  store_directory directory;
  auto store = directory.open();
  REQUIRE(store->add_events(make_events(1, 1), 100));
  SQLite::Database(directory.path(), SQLite::OPEN_READWRITE).exec("UPDATE events SET type = 77");
  CHECK(code_of(store->events().error()) == errc::internal);
}

TEST_CASE("each webhook has a position of its own that outlives the server", "[store]") {
  store_directory directory;
  {
    auto store = directory.open();
    CHECK_FALSE(*store->webhook_position("https://a.example"));
    REQUIRE(store->set_webhook_position("https://a.example", 0));
    REQUIRE(store->set_webhook_position("https://b.example", 17));
    REQUIRE(store->set_webhook_position("https://b.example", 18));
  }
  auto store = directory.open();
  CHECK(store->webhook_position("https://a.example")->value() == 0);
  CHECK(store->webhook_position("https://b.example")->value() == 18);
}
