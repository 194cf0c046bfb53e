#include "http/codec/chat_stream.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

using namespace sandy;
using namespace sandy::http::codec;

namespace {

/// What a client gets when the bytes come in pieces of this size, and then the end.
std::string passed(std::string_view bytes, std::size_t piece, const caf::error& why = {}) {
  chat_stream stream;
  std::string out;
  while (!bytes.empty() && !stream.done()) {
    auto now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    out += now.substr(0, stream.take(now));
  }
  return out + stream.closing(why);
}

/// How many lines end a stream; the last that is not empty is one.
std::size_t ends_in(std::string_view text) {
  std::size_t found = 0;
  auto last = false;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find_last_not_of(" \r") + 1);
    if (line.empty())
      continue;
    auto value =
        line.starts_with("data:") ? line.substr(std::min(line.size(), line.find_first_not_of(' ', 5))) : "";
    last = value == "[DONE]" && line.size() < 30;
    found += last;
  }
  REQUIRE(last);
  return found;
}

const std::string event = "data: {\"a\": 1}\n\n";
const std::string end = "data: [DONE]\n\n";

} // namespace

TEST_CASE("a stream of chat completions ends with one [DONE], whatever the container does", "[container]") {
  auto piece = GENERATE(std::size_t{1}, 3u, 7u, 1000u);
  CHECK(passed(event + end, piece) == event + end);
  CHECK(passed(event, piece) == event + end);
  CHECK(passed("", piece) == end);
  CHECK(passed(event + end + event + end, piece) == event + end); // what follows is not passed on
  CHECK(passed(event + "data: [DONE]", piece) == event + end);    // the line was not ended
  CHECK(passed(event + "data: [DONE]\n", piece) == event + end);  // nor the event
  CHECK(passed(event + "data:[DONE]\n\n", piece) == event + "data:[DONE]\n\n");
  CHECK(passed("data: x\r\n\r\ndata: [DONE]\r\n\r\n", piece) == "data: x\r\n\r\ndata: [DONE]\r\n\n");
  CHECK(passed("data: {\"cut", piece) == "data: {\"cut\n\n" + end); // torn apart in mid-line
  CHECK(passed("data: x\n", piece) == "data: x\n\n" + end);         // or between two lines
  CHECK(passed("data: say [DONE]\n\n", piece) == "data: say [DONE]\n\n" + end);
  CHECK(passed(": data: [DONE]\n\n", piece) == ": data: [DONE]\n\n" + end);
}

TEST_CASE("a stream that breaks off says so before its end", "[container]") {
  auto text = passed(event + "data: {\"cut", 5, fail(errc::upstream_error, "it \"broke\" off"));
  CHECK(text == event +
                    "data: {\"cut\n\ndata: "
                    "{\"error\":{\"code\":\"upstream_error\",\"message\":\"it \\\"broke\\\" "
                    "off\",\"type\":\"server_error\"}}\n\n" +
                    end);
}

TEST_CASE("a stream that breaks off behind its end has ended", "[container]") {
  auto why = fail(errc::upstream_error, "it broke off");
  CHECK(passed(event + "data: [DONE]", 7, why) == event + end);
  CHECK(passed(event + "data: [DONE]\n", 7, why) == event + end);
  CHECK(passed(event + "data: [DONE", 7, why).find("\"error\"") != std::string::npos);
}

TEST_CASE("long lines pass, and hold nothing", "[container]") {
  auto line = "data: " + std::string(10 << 20, 'x') + "\n\n";
  CHECK(passed(line, 64 * 1024) == line + end);
  chat_stream stream;
  CHECK(stream.between_lines());
  stream.take("data: half");
  CHECK_FALSE(stream.between_lines());
  stream.take(" of it\n");
  CHECK(stream.between_lines());
}

TEST_CASE("any bytes end with one [DONE] that is a line of its own", "[container][fuzz]") {
  std::mt19937 random{7};
  const std::string alphabet = "data: [DONE]\n\r\n\n{}x";
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes;
    for (auto length = random() % 60; length > 0; --length)
      bytes += random() % 4 == 0 ? "data: [DONE]" : std::string(1, alphabet[random() % alphabet.size()]);
    auto text = passed(bytes, 1 + random() % 9);
    INFO(bytes);
    REQUIRE(text.ends_with("\n\n"));
    REQUIRE(ends_in(text) == 1);
    REQUIRE(text == passed(bytes, 1000)); // however it was cut
  }
}
