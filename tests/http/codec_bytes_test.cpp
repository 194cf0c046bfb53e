#include "http/codec/base64.hpp"
#include "http/codec/header_values.hpp"
#include "http/codec/utf8.hpp"
#include "http/codec/write_parser.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace sandy;
using namespace sandy::http::codec;

namespace {

/// Everything the parser made of a body that came in pieces of one size.
struct parsed {
  result<void> outcome = caf::unit;
  std::string path;
  std::string content;
  std::optional<std::uint32_t> mode;
  bool base64 = false;
};

parsed parse_write(std::string_view body, std::size_t piece) {
  parsed out;
  write_parser parser;
  for (; out.outcome && !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
    out.outcome = parser.feed(body.substr(0, piece));
    out.content += parser.take_content();
  }
  if (out.outcome)
    out.outcome = parser.finish();
  out.path = parser.path().value_or("");
  out.mode = parser.mode();
  out.base64 = parser.base64();
  return out;
}

} // namespace

TEST_CASE("what is not UTF-8 becomes one replacement per ill-formed part", "[codec]") {
  const std::vector<std::pair<std::string, std::string>> table{
      {"", ""},
      {"plain ASCII text, long enough", "plain ASCII text, long enough"},
      {"gr\xc3\xbc\xc3\x9f"
       "e \xf0\x9f\x98\x80",
       "gr\xc3\xbc\xc3\x9f"
       "e \xf0\x9f\x98\x80"},
      {std::string("a\0b", 3), std::string("a\0b", 3)},
      {"\xff", "\xef\xbf\xbd"},
      {"a\xc3", "a\xef\xbf\xbd"},
      {"\xf0\x9f\x98", "\xef\xbf\xbd"},
      {"\xf0\x9f"
       "a",
       "\xef\xbf\xbd"
       "a"},
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 // overlong
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // a surrogate
      {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xe2\x82\xac\xe2\x82", "\xe2\x82\xac\xef\xbf\xbd"},
  };
  for (const auto& [bytes, text] : table) {
    CHECK(repair_utf8(bytes) == text);
    CHECK(is_utf8(bytes) == (bytes == text));
    CHECK(is_utf8(repair_utf8(bytes)));
  }
}

TEST_CASE("a character may be split anywhere", "[codec]") {
  const std::string text = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    for (std::size_t second = cut; second <= text.size(); ++second) {
      utf8_checker checker;
      CHECK(checker.feed(text.substr(0, cut)));
      CHECK(checker.feed(text.substr(cut, second - cut)));
      CHECK(checker.feed(text.substr(second)));
      CHECK(checker.finish());
    }
    auto tail = utf8_incomplete_tail(std::string_view{text}.substr(0, cut));
    CHECK(is_utf8(std::string_view{text}.substr(0, cut - tail)));
  }
  utf8_checker unfinished;
  CHECK(unfinished.feed("a\xf0\x9f"));
  CHECK_FALSE(unfinished.finish());
  CHECK_FALSE(unfinished.feed("z"));
  CHECK(utf8_incomplete_tail("a\xff") == 0);
  CHECK(utf8_incomplete_tail("\xc3\xbc") == 0);
  CHECK(utf8_incomplete_tail("\xed\xa0") == 0); // no character begins so
  CHECK(utf8_incomplete_tail("\xe2\x82") == 2);
}

TEST_CASE("escaped text is a JSON string with the same content", "[codec]") {
  std::string text;
  for (int c = 0; c < 128; ++c)
    text.push_back(static_cast<char>(c));
  text += "\xc3\xbc\xe2\x80\xa8";
  std::string out = "\"";
  append_json_escaped(out, text);
  CHECK(nlohmann::json::parse(out + "\"") == text);
}

TEST_CASE("base64 survives its way there and back, in any pieces", "[codec]") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
    for (std::size_t piece : {1, 2, 5}) {
      base64_encoder encoder;
      std::string out;
      for (std::size_t at = 0; at < bytes.size(); at += piece)
        encoder.feed(out, std::string_view{bytes}.substr(at, piece));
      encoder.finish(out);
      CHECK(out == base64_encode(bytes));
    }
    bytes.push_back(static_cast<char>(i * 37));
  }
  CHECK(base64_encode("hello") == "aGVsbG8=");
  CHECK(base64_decode("aGVs\nbG8 =") == "hello");
  CHECK(base64_decode("aGVsbG8") == "hello");
  for (auto text : {"a", "a*b=", "aGVsbG8==", "=", "aG=s", "aGVsb", "YQ==YQ=="})
    CHECK_FALSE(base64_decode(text));
}

TEST_CASE("a range is one part of the file, or nothing", "[codec]") {
  auto range = [](std::string_view header, std::uint64_t size) { return *parse_range(header, size); };
  auto is = [](const std::optional<byte_range>& r, std::uint64_t first, std::uint64_t length) {
    return r && r->first == first && r->length == length;
  };
  CHECK(is(range("bytes=0-0", 1000), 0, 1));
  CHECK(is(range("Bytes=10-19", 1000), 10, 10));
  CHECK(is(range("bytes=990-", 1000), 990, 10));
  CHECK(is(range("bytes=-5", 1000), 995, 5));
  CHECK(is(range("bytes=-5000", 1000), 0, 1000));
  CHECK(is(range("bytes=900-99999999999", 1000), 900, 100));
  for (auto header : {"", "bytes", "lines=1-2", "bytes=a-b", "bytes=9-3", "bytes=0-1,5-6", "bytes=-",
                      "bytes=1", "bytes=99999999999999999999-"})
    CHECK_FALSE(range(header, 1000));
  for (auto header : {"bytes=1000-", "bytes=-0", "bytes=5000-6000"})
    CHECK(code_of(parse_range(header, 1000).error()) == errc::range_not_satisfiable);
  CHECK(code_of(parse_range("bytes=0-", 0).error()) == errc::range_not_satisfiable);
}

TEST_CASE("an announced digest is hexadecimal or a structured field", "[codec]") {
  const std::string hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  CHECK(*announced_sha256(hex, "") == hex);
  CHECK(*announced_sha256("2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824", "") == hex);
  CHECK(*announced_sha256("", "md5=:xyz=:, sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:") == hex);
  CHECK_FALSE(*announced_sha256("", ""));
  CHECK_FALSE(*announced_sha256("", "md5=:xyz=:"));
  CHECK_FALSE(announced_sha256("short", ""));
  CHECK_FALSE(announced_sha256("", "sha-256=LPJN"));
  CHECK_FALSE(announced_sha256("", "sha-256=:aGk=:"));
}

TEST_CASE("media types are compared without their parameters", "[codec]") {
  CHECK(accepts("text/html, Text/Event-Stream;q=0.9", "text/event-stream"));
  CHECK_FALSE(accepts("*/*", "text/event-stream"));
  CHECK_FALSE(accepts("", "text/event-stream"));
  CHECK(media_type("Application/JSON; charset=utf-8") == "application/json");
}

TEST_CASE("a write body is read in any pieces and in any order", "[codec]") {
  const std::string_view bodies[] = {
      R"({"path":"/a/ü.txt","content":"line\n\"quoted\" \ud83d\ude00","encoding":"utf-8","mode":"0755"})",
      R"( {"mode":493,"content":"line\n\"quoted\" 😀","unknown":{"path":"x","deep":[1,{"content":"y"}]},"path":"/a/\u00fc.txt"} )",
  };
  for (auto body : bodies)
    for (std::size_t piece = 1; piece < 40; piece += 3) {
      auto out = parse_write(body, piece);
      REQUIRE(out.outcome);
      CHECK(out.path == "/a/ü.txt");
      CHECK(out.content == "line\n\"quoted\" 😀");
      CHECK(out.mode == 0755u);
      CHECK_FALSE(out.base64);
    }
  CHECK(parse_write(R"({"path":"a","content":"","encoding":"BASE64","mode":null})", 7).base64);
  CHECK_FALSE(parse_write(R"({"path":"a","content":"","encoding":null})", 7).mode);
}

TEST_CASE("a write body that makes no sense is refused with the field's name", "[codec]") {
  const std::vector<std::tuple<std::string, errc, std::string>> table{
      {"", errc::validation_failed, "path is required"},
      {"  ", errc::validation_failed, "path is required"},
      {"{}", errc::validation_failed, "path is required"},
      {R"({"path":"a"})", errc::validation_failed, "content is required"},
      {R"({"path":"a","content":null})", errc::validation_failed, "content is required"},
      {R"({"path":7,"content":"x"})", errc::validation_failed, "path must be a string"},
      {R"({"path":"a","content":7})", errc::validation_failed, "content must be a string"},
      {R"({"path":"a","content":["x"]})", errc::validation_failed, "content must be a string"},
      {R"({"path":"a","content":{"x":1}})", errc::validation_failed, "content must be a string"},
      {R"({"path":"a","content":"x","encoding":true})", errc::validation_failed, "encoding must be a string"},
      {R"({"path":"a","content":"x","encoding":"latin-9"})", errc::invalid_argument,
       "encoding must be utf-8 or base64"},
      {R"({"path":"a","content":"x","mode":[]})", errc::validation_failed,
       "mode must be a number or an octal string"},
      {R"({"path":"a","content":"x","mode":"rwx"})", errc::invalid_argument,
       "mode must be permission bits, such as \"0644\""},
      {R"({"path":"a","content":"x","mode":-1})", errc::invalid_argument,
       "mode must be permission bits, such as \"0644\""},
      {R"({"path":"a","content":"x","mode":1e300})", errc::invalid_argument,
       "mode must be permission bits, such as \"0644\""},
      {R"({"path":"a","content":"x","content":"y"})", errc::invalid_argument, "content is given twice"},
      {R"({"path":"","content":"x"})", errc::invalid_argument, "path must not be empty"},
      {R"({"path":"a\u0000b","content":"x"})", errc::invalid_argument,
       "path must not contain a NUL character"},
      {R"([{"path":"a","content":"x"}])", errc::validation_failed, "The body must be a JSON object"},
      {R"("path")", errc::validation_failed, "The body must be a JSON object"},
      {R"(null)", errc::validation_failed, "The body must be a JSON object"},
      {R"({"path":"a","content":"x)", errc::invalid_argument, "The body is not valid JSON"},
      {R"({"path":"a","content":"x"}{})", errc::invalid_argument, "The body is not valid JSON"},
      {R"({"path":"a","content":"\ud800"})", errc::invalid_argument, "The body is not valid JSON"},
      {"{\"path\":\"a\",\"content\":\"\xff\"}", errc::invalid_argument, "The body is not valid JSON"},
      {"{\"path\":\"" + std::string(10'000, 'a') + "\"}", errc::invalid_argument, "path is too long"},
      {"{\"a\":" + std::string(1000, '['), errc::invalid_argument, "The body is not valid JSON"},
  };
  for (const auto& [body, code, text] : table)
    for (std::size_t piece : {1, 5, 100'000}) {
      INFO(body.substr(0, 100));
      auto out = parse_write(body, piece);
      REQUIRE_FALSE(out.outcome);
      CHECK(code_of(out.outcome.error()) == code);
      CHECK(text_of(out.outcome.error()) == text);
    }
}

TEST_CASE("what comes after the file was opened may not change it", "[codec]") {
  write_parser parser;
  REQUIRE(parser.feed(R"({"path":"a","content":"x",)"));
  parser.settle();
  SECTION("another mode") { CHECK_FALSE(parser.feed(R"("mode":"0600"})")); }
  SECTION("another path") { CHECK_FALSE(parser.feed(R"("path":"b"})")); }
  SECTION("the encoding is for the end") {
    CHECK(parser.feed(R"("encoding":"base64"})"));
    CHECK(parser.finish());
    CHECK(parser.base64());
  }
}
