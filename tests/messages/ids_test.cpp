#include "messages/ids.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace sandy;

TEST_CASE("sandbox ids are distinct host labels", "[ids]") {
  std::set<std::string> seen;
  std::set<std::string> beginnings; // clients name sites by the first eight characters
  for (int i = 0; i < 2000; ++i) {
    auto id = make_sandbox_id();
    CHECK(is_sandbox_id(id.value));
    CHECK(seen.insert(id.value).second);
    beginnings.insert(id.value.substr(0, 8));
  }
  CHECK(beginnings.size() > 1990);
}

TEST_CASE("what is not an id is told without looking", "[ids]") {
  for (auto text : {"", "stats", "0123456789abcdef0123456", "0123456789abcdef012345678",
                    "0123456789ABCDEF01234567", "0123456789abcdef0123456/", "0123456789abcdef0123456g"})
    CHECK_FALSE(is_sandbox_id(text));
  CHECK(is_sandbox_id("0123456789abcdef01234567"));
}
