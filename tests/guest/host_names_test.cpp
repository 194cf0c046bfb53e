#include "runtime/guest/host_names.hpp"

#include <catch2/catch.hpp>

using namespace sandy::guest;

namespace {

const std::vector<host_name> one{{0x7f530001, "box"}};
const std::string line = "127.83.0.1\tbox\t# sandy connection\n";

} // namespace

TEST_CASE("addresses are written with dots", "[host_names]") {
  CHECK(dotted(0x7f530001) == "127.83.0.1");
  CHECK(dotted(0xffffffff) == "255.255.255.255");
}

TEST_CASE("our names stand at the end of a hosts file, and other lines stay as they are", "[host_names]") {
  CHECK(with_host_names("", one) == line);
  CHECK(with_host_names("127.0.0.1 localhost\n", one) == "127.0.0.1 localhost\n" + line);
  CHECK(with_host_names("# mine\r\n\n\n127.0.0.1 a # sandy\n", one) ==
        "# mine\r\n\n\n127.0.0.1 a # sandy\n" + line);
  CHECK(with_host_names("no end", one) == "no end\n" + line);
  CHECK(with_host_names("no end", {}) == "no end");
  CHECK(with_host_names("\n", {}) == "\n");
}

TEST_CASE("our old names go, wherever they stand", "[host_names]") {
  const std::vector<host_name> two{{0x7f530001, "box"}, {0x7f530002, "other"}};
  auto with_two = with_host_names("127.0.0.1 localhost\n", two);
  CHECK(with_host_names(with_two, two) == with_two);
  CHECK(with_host_names(with_two, one) == "127.0.0.1 localhost\n" + line);
  CHECK(with_host_names(with_two + "mine\n", {}) == "127.0.0.1 localhost\nmine\n");
  CHECK(with_host_names(line + "a\n" + line + "b", one) == "a\nb\n" + line);
  CHECK(with_host_names("1.2.3.4 x # sandy connection \t\r\n1.2.3.4 y # sandy connection", {}) ==
        "1.2.3.4 x # sandy connection \t\r\n");
}
