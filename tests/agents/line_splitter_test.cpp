#include "agents/line_splitter.hpp"
#include "agents/reading.hpp"

#include <catch2/catch.hpp>

using namespace sandy::agents;

namespace {

/// Lines as texts: "+" before a whole one, "1" before the first piece of a long one, "-" before the others.
struct collected {
  std::vector<std::string> lines;

  line_splitter::receiver receiver() {
    return [this](line_splitter::line one) {
      lines.push_back((one.whole ? "+" : one.first ? "1" : "-") + std::string(one.text));
    };
  }
};

std::vector<std::string> split(std::string_view text, std::size_t part, std::size_t longest = 8) {
  collected into;
  line_splitter lines(longest);
  for (; !text.empty(); text.remove_prefix(std::min(part, text.size())))
    lines.feed(text.substr(0, part), into.receiver());
  lines.finish(into.receiver());
  return into.lines;
}

using texts = std::vector<std::string>;

} // namespace

TEST_CASE("lines are the same, however the bytes arrive", "[agents][lines]") {
  for (std::size_t part : {1, 2, 3, 5, 100}) {
    CHECK(split("one\ntwo\r\n\nlast", part) == texts{"+one", "+two", "+", "+last"});
    CHECK(split("a\rb\n", part) == texts{"+a\rb"});
    CHECK(split("12345678\r\n12345678\n", part) == texts{"+12345678", "+12345678"});
    CHECK(split("", part).empty());
    CHECK(split("\n", part) == texts{"+"});
  }
}

TEST_CASE("a line that is too long comes in pieces, and the next one is whole again", "[agents][lines]") {
  for (std::size_t part : {1, 2, 3, 5, 100}) {
    CHECK(split("123456789\nx\n", part) == texts{"112345678", "-9", "+x"});
    CHECK(split("1234567890123456\r\nx", part) == texts{"112345678", "-90123456", "+x"});
    CHECK(split("12345678901234567", part) == texts{"112345678", "-90123456", "-7"});
  }
}

TEST_CASE("no piece of a long line splits a character", "[agents][lines]") {
  CHECK(split("1234567\xC3\xA4xy\n", 100) == texts{"11234567", "-\xC3\xA4xy"});
  CHECK(split("12345\xF0\x9F\x98\x80\n", 1) == texts{"112345", "-\xF0\x9F\x98\x80"});
  CHECK(split(std::string(9, '\x80'), 100) == texts{"1" + std::string(8, '\x80'), "-\x80"});
}

TEST_CASE("a line over its bound becomes output, which says so and loses nothing", "[agents][lines]") {
  auto text = "{\"type\":\"" + std::string(3 * line_splitter::longest, 'x') + "\"}";
  reading read(dialect_kind::claude, text + "\n{\"type\":\"system\"}\n");
  REQUIRE(read.events.size() == 6);
  CHECK(std::get<output>(read.events[0]).text == "[a line of more than 1 MiB follows in pieces]");
  std::string joined;
  for (auto i = 1; i < 5; ++i)
    joined += std::get<output>(read.events[i]).text;
  CHECK(joined == text);
  CHECK(read.object(5)["type"] == "system");
}
