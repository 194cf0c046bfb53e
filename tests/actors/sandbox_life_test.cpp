#include "actors/sandbox_life.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

TEST_CASE("a sandbox's life moves forward only", "[life]") {
  using enum sandbox_state;
  const auto states = {creating, ready, draining, gone};
  const std::vector<std::pair<sandbox_state, sandbox_state>> legal{
      {creating, ready}, {creating, draining}, {ready, draining}, {draining, gone}};
  for (auto from : states)
    for (auto to : states) {
      sandbox_life life;
      if (from == ready || from == gone)
        life.enter(ready);
      if (from == draining || from == gone)
        life.end(end_reason::terminated);
      if (from == gone)
        life.enter(gone);
      REQUIRE(life.state() == from);
      auto allowed = std::find(legal.begin(), legal.end(), std::pair{from, to}) != legal.end();
      CHECK(life.enter(to) == allowed);
      CHECK(life.state() == (allowed ? to : from));
    }
}

TEST_CASE("the first reason to end counts", "[life]") {
  sandbox_life life;
  CHECK(life.end(end_reason::expired));
  CHECK_FALSE(life.end(end_reason::terminated));
  CHECK(life.reason() == end_reason::expired);
}
