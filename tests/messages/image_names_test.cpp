#include "messages/image.hpp"
#include "messages/image_names.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

using namespace sandy;

namespace {

const std::string digest = "sha256:" + std::string(64, 'a');

} // namespace

TEST_CASE("a reference names its registry", "[image_names]") {
  auto plain = parse_image_reference("ghcr.io/team/agent");
  REQUIRE(plain);
  CHECK(*plain == image_reference{"ghcr.io", "team/agent", "latest", ""});
  CHECK(*parse_image_reference("LocalHost:5000/a:V1") == image_reference{"localhost:5000", "a", "V1", ""});
  CHECK(*parse_image_reference("localhost/a") == image_reference{"localhost", "a", "latest", ""});
  CHECK(*parse_image_reference("r.io/a:1@" + digest) == image_reference{"r.io", "a", "", digest});
  for (const auto* none : {"", "agent", "agent:1", "team/agent", "r.io/", "r.io/A", "r.io/a/../b",
                           "r.io/a//b", "r.io/.a", "r.io/a:", "r.io/a@sha256:12", "-r.io/a", "r.io:x/a",
                           "r.io/a b", "r.io/a\n", "http://r.io/a", "r.io/-a", "/a", "r..io/a"}) {
    INFO(none);
    CHECK_FALSE(parse_image_reference(none));
  }
  CHECK_FALSE(parse_image_reference("r.io/" + std::string(300, 'a')));
  CHECK_FALSE(parse_image_reference("r.io/" + std::string(128, 'a')));
}

TEST_CASE("different references have different names in the store", "[image_names]") {
  std::set<std::string> names;
  const std::vector<std::string> all{"r.io/a/b:1", "r.io/a_b:1",   "r.io/a__b:1",  "r.io/a-b:1",
                                     "r.io/a.b:1", "r.io:80/a:1",  "r.io/a/b:_1",  "r.io/a/b:A",
                                     "r.io/a/b:a", "r.io/a/b",     "r.io/a/b:41",  "r.io/a/b:_41",
                                     "r.io/a_:x",  "r.io/a/b:1-1", "r.io/a/b:1.1", "r.io/a@" + digest};
  std::size_t references = 0;
  for (const auto& each : all)
    if (auto reference = parse_image_reference(each)) {
      ++references;
      names.insert(store_name(*reference));
      CHECK(is_image_name(store_name(*reference)));
    }
  CHECK(references == all.size() - 1); // a path does not end in '_'
  CHECK(names.size() == references);
  CHECK(store_name(*parse_image_reference("ghcr.io/team/agent")) == "ghcr.io__team__agent_.latest");
}

TEST_CASE("an alias is what the configuration says, and everything else is itself", "[image_names]") {
  image_names names{{{"janus-runtime", "basic"},
                     {"baseline-cli-agent", "baseline-agent-cli"},
                     {"ghcr.io/team/janus:latest", "baseline-agent-cli"},
                     {"remote", "r.io/agent:1"},
                     {"chain", "janus-runtime"}}};
  CHECK(names.resolve("janus-runtime") == "basic");
  CHECK(names.resolve("janus-runtime:latest") == "basic");
  CHECK(names.resolve("ghcr.io/team/janus:latest") == "baseline-agent-cli");
  CHECK(names.resolve("GHCR.io/team/janus") == "baseline-agent-cli");
  CHECK(names.resolve("ghcr.io/team/other") == "ghcr.io__team__other_.latest");
  CHECK(names.resolve("remote") == "r.io__agent_.1");
  CHECK(names.resolve("chain") == "janus-runtime"); // an alias leads to an image
  CHECK(names.resolve("basic") == "basic");
  CHECK(names.resolve("basic:latest") == "basic");
  CHECK(names.resolve("basic:1") == "basic:1");
  CHECK(names.resolve("") == "");
  CHECK(names.resolve("../etc") == "../etc");
  CHECK(names.reference_of("remote")->text() == "r.io/agent:1");
  CHECK_FALSE(names.reference_of("janus-runtime"));
  CHECK(names.aliases_of("baseline-agent-cli") ==
        std::vector<std::string>{"baseline-cli-agent", "ghcr.io/team/janus:latest"});
  CHECK(names.aliases_of("nothing").empty());
}

TEST_CASE("no text leads to a name that leaves the store", "[image_names]") {
  std::mt19937 random{7};
  const std::string alphabet = "aA0./:@_-\n\0 sha256";
  image_names names;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto length = random() % 40; length > 0; --length)
      text += alphabet[random() % alphabet.size()];
    auto reference = parse_image_reference(text);
    if (!reference)
      continue;
    CHECK(is_image_name(names.resolve(text)));
    CHECK(parse_image_reference(reference->text()) == reference);
  }
}
