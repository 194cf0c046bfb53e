#include "actors/family.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

namespace {

const sandbox_id root{"root"}, child{"child"}, grandchild{"grandchild"}, other{"other"};
constexpr unix_millis hour = 3'600'000;

sandbox_id numbered(int i) { return {"c" + std::to_string(i)}; }

} // namespace

TEST_CASE("a sandbox is within itself and its ancestors, and nobody else", "[family]") {
  family all{{}};
  all.add(root, {}, 0);
  all.add(child, root, 1);
  all.add(grandchild, child, 2);
  all.add(other, {}, 3);
  CHECK(all.within(root, root));
  CHECK(all.within(grandchild, root));
  CHECK(all.within(grandchild, child));
  CHECK_FALSE(all.within(root, child));
  CHECK_FALSE(all.within(other, root));
  CHECK_FALSE(all.within({"unknown"}, root));
  CHECK(all.children(root) == std::vector{child});
}

TEST_CASE("a parent has at most so many children alive, and room again when one is gone", "[family]") {
  family all{{.max_alive = 2, .max_per_hour = 100}};
  all.add(root, {}, 0);
  all.add(numbered(1), root, 0);
  CHECK(all.may_add(root, 0));
  all.add(numbered(2), root, 0);
  auto refused = all.may_add(root, 0);
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::rate_limited);
  CHECK(text_of(refused.error()) == "Active sandbox limit exceeded.");
  CHECK(retry_after_of(refused.error()) > 0);
  all.remove(numbered(1));
  CHECK(all.may_add(root, 0));
}

TEST_CASE("a parent makes so many children in any hour, dead ones included", "[family]") {
  family all{{.max_alive = 5, .max_per_hour = 3}};
  all.add(root, {}, 0);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(all.may_add(root, 1000 * i));
    all.add(numbered(i), root, 1000 * i);
    all.remove(numbered(i));
  }
  auto refused = all.may_add(root, 10'000);
  REQUIRE_FALSE(refused);
  CHECK(text_of(refused.error()) == "Sandbox creation rate limit exceeded.");
  CHECK(retry_after_of(refused.error()) == (hour - 10'000) / 1000); // when the first is an hour old
  CHECK_FALSE(all.may_add(root, hour - 1));
  CHECK(all.may_add(root, hour));
}

TEST_CASE("births are remembered over a restart", "[family]") {
  family all{{.max_alive = 5, .max_per_hour = 2}};
  all.add(root, {}, 0);
  all.remember_birth(root, 5);
  all.remember_birth(root, 3);
  all.remember_birth(other, 3); // of a parent that is gone: nobody asks
  CHECK_FALSE(all.may_add(root, 10));
  CHECK(all.may_add(root, hour + 3));
}

TEST_CASE("generations are bounded", "[family]") {
  family all{{.max_depth = 2}};
  all.add(root, {}, 0);
  all.add(child, root, 0);
  CHECK(all.may_add(child, 0));
  all.add(grandchild, child, 0);
  CHECK(code_of(all.may_add(grandchild, 0).error()) == errc::rate_limited);
}

TEST_CASE("nobody has children of an unknown parent", "[family]") {
  family all{{}};
  CHECK(code_of(all.may_add(root, 0).error()) == errc::sandbox_not_found);
  all.add(child, root, 0);
  CHECK(code_of(all.may_add(root, 0).error()) == errc::sandbox_not_found); // known as somebody's parent only
}

TEST_CASE("orphans are those whose parent never came or went first", "[family]") {
  family all{{}};
  all.add(child, root, 1); // recovery meets the child first
  CHECK(all.orphans() == std::vector{child});
  all.add(root, {}, 0);
  CHECK(all.orphans().empty());
  CHECK(all.children(root) == std::vector{child});
  all.remove(root);
  CHECK(all.orphans() == std::vector{child});
  all.remove(child);
  CHECK(all.orphans().empty());
}

TEST_CASE("a planned sandbox becomes the warm one it got", "[family]") {
  family all{{.max_alive = 1}};
  all.add(root, {}, 0);
  all.add(child, root, 0);
  all.rename(child, other);
  CHECK(all.within(other, root));
  CHECK_FALSE(all.within(child, root));
  CHECK(all.children(root) == std::vector{other});
  all.remove(other);
  CHECK(all.may_add(root, 0));
}
