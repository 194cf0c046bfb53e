// Parts of the guest that need no process: the ring and the base64 decoder.

#include "guest/base64.hpp"
#include "guest/ring.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace sandy::guest;

namespace {

struct kept_output {
  std::string out, err;
};

kept_output read_all(const ring& from) {
  kept_output all;
  for (auto at = from.start(); at < from.end();) {
    auto piece = from.read(at, 1000);
    REQUIRE_FALSE(piece.bytes.empty());
    (piece.stream == stream_id::standard_output ? all.out : all.err).append(piece.bytes);
    at += piece.bytes.size();
  }
  return all;
}

} // namespace

TEST_CASE("a ring keeps the newest bytes of both streams in their order", "[ring]") {
  ring kept{4096};
  REQUIRE(kept.ok());
  std::mt19937 random{3};
  std::string out, err;
  std::uint64_t total = 0;
  for (int i = 0; i < 2000; ++i) {
    bool is_out = random() % 2 == 0;
    std::string bytes(random() % 300, static_cast<char>('a' + i % 26));
    kept.append(is_out ? stream_id::standard_output : stream_id::standard_error, bytes);
    (is_out ? out : err) += bytes;
    total += bytes.size();
    CHECK(kept.end() == total);
    CHECK(kept.end() - kept.start() <= 4096);
  }
  auto all = read_all(kept);
  CHECK(all.out == out.substr(out.size() - all.out.size()));
  CHECK(all.err == err.substr(err.size() - all.err.size()));
  CHECK(all.out.size() + all.err.size() > 3000);
}

TEST_CASE("a piece larger than the ring leaves its end", "[ring]") {
  ring kept{4096};
  kept.append(stream_id::standard_error, "begin");
  kept.append(stream_id::standard_output, std::string(10'000, 'x') + "end");
  CHECK(kept.end() == 10'008);
  CHECK(kept.start() == 10'008 - 4096);
  CHECK(read_all(kept).out == std::string(4093, 'x') + "end");
}

TEST_CASE("streams that take turns byte by byte cost bounded notes", "[ring]") {
  ring kept{64 * 1024};
  for (int i = 0; i < 200'000; ++i)
    kept.append(i % 2 == 0 ? stream_id::standard_output : stream_id::standard_error, "z");
  CHECK(kept.end() == 200'000);
  CHECK(kept.end() - kept.start() <= 64 * 1024 / 64 + 16);
  CHECK(kept.start() < kept.end());
}

TEST_CASE("base64 comes out right however it is cut", "[base64]") {
  std::string text = "TWFu IGlz\r\nIGRpc3Rpbmd1aXNoZWQ=";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    base64_decoder decoder;
    auto work = text;
    auto first = decoder.feed({work.data(), cut}, work.data());
    REQUIRE(first);
    std::string out = work.substr(0, *first);
    auto second = decoder.feed({work.data() + cut, work.size() - cut}, work.data() + cut);
    REQUIRE(second);
    out += work.substr(cut, *second);
    CHECK(out == "Man is distinguished");
    CHECK(decoder.complete());
  }
}

TEST_CASE("what is no base64 is refused", "[base64]") {
  for (std::string text :
       {"A", "AA", "AAA", "AA=", "A===", "====", "AA==AA==", "AA=A", "A*==", "AB==", "AAF=", "AAAA="}) {
    base64_decoder decoder;
    auto decoded = decoder.feed(text, text.data());
    CHECK_FALSE((decoded && decoder.complete()));
  }
}
