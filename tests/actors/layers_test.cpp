#include "actors/layers.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

namespace {

const tenant_id alice{"alice"}, bob{"bob"};

layer_record record(const std::string& id, const std::string& below, const std::string& name,
                    const tenant_id& tenant = alice) {
  layer_record made;
  made.id.value = id;
  made.below.value = below;
  made.name = name;
  made.tenant = tenant;
  made.complete = true;
  return made;
}

std::vector<std::string> names(const std::vector<const layer_record*>& records) {
  std::vector<std::string> all;
  for (const auto* each : records)
    all.push_back(each->name);
  return all;
}

} // namespace

TEST_CASE("a snapshot is found by its tenant only", "[layers]") {
  layers all;
  all.put(record("a", "", "mine"));
  all.put(record("b", "", "his", bob));
  CHECK(all.find(principal{alice}, "mine")->id.value == "a");
  CHECK(all.find(principal{alice}, "his") == nullptr);
  CHECK(names(all.visible(principal{bob})) == std::vector<std::string>{"his"});
  CHECK(all.taken(alice, "mine"));
  CHECK_FALSE(all.taken(bob, "mine"));
}

TEST_CASE("a sandbox finds what it made, not what else its tenant has", "[layers]") {
  layers all;
  all.put(record("a", "", "the-tenants"));
  auto own = record("b", "", "its-own");
  own.maker.value = "s1";
  all.put(own);
  CHECK(names(all.visible({alice, {"s1"}})) == std::vector<std::string>{"its-own"});
  CHECK(all.find({alice, {"s2"}}, "its-own") == nullptr);
  CHECK(names(all.visible({alice})) == std::vector<std::string>{"its-own", "the-tenants"});
}

TEST_CASE("a layer on its way takes its name and a place, and is not found", "[layers]") {
  layers all;
  auto coming = record("a", "", "soon");
  coming.complete = false;
  all.put(coming);
  CHECK(all.find(principal{alice}, "soon") == nullptr);
  CHECK(all.taken(alice, "soon"));
  CHECK(all.count(alice) == 1);
}

TEST_CASE("a layer is needed while it has a name, is held, or lies below another", "[layers]") {
  layers all;
  all.put(record("a", "", "named"));
  all.put(record("b", "a", ""));
  all.put(record("c", "b", ""));
  auto held = all.use({"c"});
  REQUIRE(held);
  CHECK(all.unneeded().empty());
  held.reset();
  CHECK(all.unneeded() == std::vector<layer_id>{{"c"}}); // the upper ones first
  all.remove({"c"});
  CHECK(all.unneeded() == std::vector<layer_id>{{"b"}});
  all.remove({"b"});
  CHECK(all.unneeded().empty());
  all.put(record("a", "", ""));
  CHECK(all.unneeded() == std::vector<layer_id>{{"a"}});
  CHECK_FALSE(all.use({"nobody"}));
}
