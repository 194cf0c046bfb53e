#include "tests/store/fixture.hpp"

using namespace sandy;

namespace {

sandbox_connection between(std::uint32_t source, std::uint32_t target, unix_millis at) {
  return {make_record(source).info.id, make_record(target).info.id, 0x7f530000 + target, at};
}

} // namespace

TEST_CASE("connections survive the store, oldest first", "[store]") {
  store_directory directory;
  auto first = between(1, 2, 20), second = between(2, 1, 10), largest = between(3, 1, 30);
  largest.address = 0xffffffff;
  {
    auto opened = directory.open();
    for (const auto& each : {first, second, largest})
      REQUIRE(opened->add_connection(each));
  }
  auto opened = directory.open();
  CHECK(*opened->connections() == std::vector{second, first, largest});
}

TEST_CASE("two sandboxes have one connection in one direction", "[store]") {
  store_directory directory;
  auto opened = directory.open();
  auto old = between(1, 2, 10), again = between(1, 2, 20), back = between(2, 1, 30);
  REQUIRE(opened->add_connection(old));
  REQUIRE(opened->add_connection(again));
  REQUIRE(opened->add_connection(back));
  CHECK(*opened->connections() == std::vector{again, back});
  REQUIRE(opened->remove_connection(again.source, again.target));
  REQUIRE(opened->remove_connection(again.source, again.target));
  CHECK(*opened->connections() == std::vector{back});
}

TEST_CASE("a sandbox that is buried takes its connections with it", "[store]") {
  store_directory directory;
  auto opened = directory.open();
  auto kept = between(2, 3, 10);
  for (const auto& each : {between(1, 2, 20), between(3, 1, 20), kept})
    REQUIRE(opened->add_connection(each));
  auto gone = make_record(1).info;
  REQUIRE(opened->bury({gone.id, gone.tenant, end_reason::terminated, 40, {}, 0}));
  CHECK(*opened->connections() == std::vector{kept});
}
