#include "guest/user.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy::guest;

namespace {

const std::string passwd = "root:x:0:0:root:/root:/bin/sh\n"
                           "broken\n"
                           "app:x:1000:1001:An app:/srv/app:/bin/sh\n"
                           "other:x:1002:1002::/home/other\n"
                           "huge:x:70000:1:::\n";
const std::string group =
    "root:x:0:\napp:x:1001:\nvideo:x:44:app,other\naudio:x:29:other, app\ntape:x:26:app\n"
    "beyond:x:99999999999:app\n";

std::optional<credentials> find(const std::string& wanted) { return credentials_of(wanted, passwd, group); }

} // namespace

TEST_CASE("a user is found by name or number, with what /etc/group adds", "[guest]") {
  for (const auto* name : {"app", "1000"}) {
    auto found = find(name);
    REQUIRE(found);
    CHECK(found->uid == 1000);
    CHECK(found->gid == 1001);
    CHECK(found->groups == std::vector<gid_t>{44, 26});
    CHECK(found->home == "/srv/app");
  }
  auto unnamed = find("4242");
  REQUIRE(unnamed);
  CHECK(unnamed->uid == 4242);
  CHECK(unnamed->gid == 0);
  CHECK(unnamed->groups.empty());
  CHECK(unnamed->home.empty());
}

TEST_CASE("a group that is named is the only one", "[guest]") {
  for (const auto* name : {"app:video", "1000:44", "app:44"}) {
    auto found = find(name);
    REQUIRE(found);
    CHECK(found->uid == 1000);
    CHECK(found->gid == 44);
    CHECK(found->groups.empty());
  }
  CHECK(find(":video")->uid == 0);
}

TEST_CASE("what is not there is nobody", "[guest]") {
  for (const auto* name :
       {"nobody", "app:none", "65536", "-1", "99999999999999999999", "1000:65536", "huge", "app x", "broken"})
    CHECK_FALSE(find(name));
  CHECK(credentials_of("0", "", "")->uid == 0);
  CHECK_FALSE(credentials_of("root", "", ""));
}

TEST_CASE("whatever the files hold, nobody gets an id that the sandbox does not have", "[guest][fuzz]") {
  std::mt19937 random{11};
  const std::string alphabet = ":\n,app0169-\xff x";
  auto text = [&] {
    std::string made;
    for (auto length = random() % 80; length > 0; --length)
      made += alphabet[random() % alphabet.size()];
    return made;
  };
  for (int i = 0; i < 20'000; ++i)
    if (auto found = credentials_of(text().substr(0, random() % 8), text(), text())) {
      REQUIRE(found->uid < 65'536);
      REQUIRE(found->gid < 65'536);
      for (auto each : found->groups)
        REQUIRE(each < 65'536);
    }
}
