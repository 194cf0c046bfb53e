#include "app/first_key.hpp"
#include "tests/app/temporary_directory.hpp"

#include <sys/stat.h>

using namespace sandy;

TEST_CASE("the first key is made once, for its owner only", "[first_key]") {
  temporary_directory directory;
  auto key = first_key(directory.path());
  REQUIRE(key);
  CHECK(key->starts_with("sandy_"));
  CHECK(key->size() == 46);
  struct stat status{};
  REQUIRE(::stat((directory.path() + "/api_key").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(*first_key(directory.path()) == *key);
  temporary_directory other;
  CHECK(*first_key(other.path()) != *key);
}

TEST_CASE("a key that an operator put there is used and made private", "[first_key]") {
  temporary_directory directory;
  auto path = directory.write("api_key", "my-own-key\n\n");
  ::chmod(path.c_str(), 0644);
  CHECK(*first_key(directory.path()) == "my-own-key");
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a file without a key is an error, not a new key", "[first_key]") {
  temporary_directory directory;
  for (const auto& text :
       {std::string(), std::string("\n"), std::string("two words"), std::string(1000, 'x')}) {
    directory.write("api_key", text);
    auto key = first_key(directory.path());
    REQUIRE_FALSE(key);
    CHECK(code_of(key.error()) == errc::invalid_argument);
  }
}

TEST_CASE("a server killed while making the key left a draft that does no harm", "[first_key]") {
  temporary_directory directory;
  directory.write("api_key.new", "sandy_half");
  auto key = first_key(directory.path());
  REQUIRE(key);
  CHECK(*key != "sandy_half");
  CHECK_FALSE(std::filesystem::exists(directory.path() + "/api_key.new"));
}

TEST_CASE("a missing data directory is named", "[first_key]") {
  auto key = first_key("/nonexistent");
  REQUIRE_FALSE(key);
  CHECK(text_of(key.error()).find("/nonexistent/api_key") != std::string::npos);
}
