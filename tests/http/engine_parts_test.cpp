#include "http/answer_head.hpp"
#include "http/auth.hpp"
#include "http/deadline_wheel.hpp"
#include "http/errors.hpp"
#include "http/router.hpp"
#include "http/sse.hpp"
#include "http/target.hpp"

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <stdexcept>

using namespace sandy;
using namespace std::chrono_literals;

namespace {

io_task<void> nothing(http::exchange&) { co_return; }

http::router::match find(const http::router& table, std::string_view method, std::string_view path) {
  static http::request_target target; // the match points into it
  REQUIRE(target.parse(path));
  return table.find(method, target.segments());
}

} // namespace

TEST_CASE("every error code has a status, and its name in the body", "[http]") {
  for (int value = 1; value <= static_cast<int>(errc::last_); ++value) {
    auto code = static_cast<errc>(value);
    auto err = fail(code, "what happened");
    CAPTURE(to_string(code));
    CHECK(http::to_status(err) >= 400);
    auto body = nlohmann::json::parse(http::error_body(err));
    CHECK(body["error"]["code"] == to_string(code));
    CHECK(body["detail"].is_string());
    CHECK(body["error"]["message"] == body["detail"]);
  }
  CHECK(nlohmann::json::parse(http::error_body(fail(errc::sandbox_not_found, "x")))["detail"] ==
        "Sandbox not found");
  CHECK(nlohmann::json::parse(http::error_body(fail(errc::internal, "\xff")))["detail"] == "\xef\xbf\xbd");
}

TEST_CASE("a literal segment beats a parameter and reserves its word", "[http]") {
  http::router table{{{"GET", "/a/{id}", nothing},
                      {"DELETE", "/a/{id}", nothing},
                      {"GET", "/a/stats", nothing},
                      {"POST", "/a/{id}/b/{name}", nothing},
                      {"GET", "/", nothing}}};
  CHECK(find(table, "GET", "/a/stats").found->pattern == "/a/stats");
  CHECK(find(table, "GET", "/a/other").found->pattern == "/a/{id}");
  CHECK(find(table, "DELETE", "/a/stats").found == nullptr);
  CHECK(find(table, "DELETE", "/a/stats").allow == "GET, HEAD, OPTIONS");
  CHECK(find(table, "HEAD", "/a/other/").found->method == "GET");
  CHECK(find(table, "GET", "/").found->pattern == "/");
  CHECK(find(table, "POST", "/a/stats/b/c").found->pattern == "/a/{id}/b/{name}");
  auto both = find(table, "POST", "/a/one/b/two");
  REQUIRE(both.params == 2);
  CHECK(both.names[1] == "name");
  CHECK(both.segments[1] == 3);
  for (auto unknown : {"/a", "/a//", "/b", "/a/one/b", "/a/one/b/two/three"})
    CHECK(find(table, "GET", unknown).allow.empty());
}

TEST_CASE("a bad route table is refused", "[http]") {
  using table = std::vector<http::route>;
  CHECK_THROWS_AS(http::router(table{{"GET", "a", nothing}}), std::logic_error);
  CHECK_THROWS_AS(http::router(table{{"GET", "/a", nullptr}}), std::logic_error);
  CHECK_THROWS_AS(http::router(table{{"GET", "/a", nothing}, {"GET", "/a", nothing}}), std::logic_error);
  CHECK_THROWS_AS(http::router(table{{"GET", "/{a}", nothing}, {"PUT", "/{b}", nothing}}), std::logic_error);
}

TEST_CASE("targets are decoded segment by segment", "[http]") {
  http::request_target target;
  REQUIRE(target.parse("/a%20b/c%2Fd/?q=x%26y+z&q=2&flag&%65=f"));
  REQUIRE(target.segments().size() == 2);
  CHECK(target.segments()[0] == "a b");
  CHECK(target.segments()[1] == "c/d");
  CHECK(target.query("q") == "x&y z");
  CHECK(target.query("flag") == "");
  CHECK(target.query("e") == "f");
  CHECK_FALSE(target.query("none"));
  REQUIRE(target.parse("http://host:1/p?x=1"));
  CHECK(target.path() == "/p");
  REQUIRE(target.parse("HTTPS://host"));
  CHECK(target.path() == "/");
  REQUIRE(target.parse("http://host?x=1"));
  CHECK(target.query("x") == "1");
  REQUIRE(target.parse("/%E2%82%AC"));
  for (auto bad : {"", "*", "a", "http:///p", "/%", "/%4", "/%zz", "/%00", "/%0a", "/%7f", "/%ff", "/%c0%af",
                   "/%ed%a0%80", "/a?x=%", "/a?x=%00", "/a#b", "ftp://host/"})
    CHECK_FALSE(target.parse(bad));
}

TEST_CASE("a key ring knows keys and digests, and nothing else", "[http]") {
  auto ring = http::key_ring::load(
      {{tenant_id{"plain"}, "abc"},
       {tenant_id{"hashed"}, "sha256:2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE"},
       {tenant_id{"plain"}, "root", true}});
  REQUIRE(ring);
  CHECK(ring->owner("root")->tenant == tenant_id{"plain"});
  CHECK(ring->owner("root")->admin); // the key is, not its tenant
  CHECK(ring->owner("abc") == tenant_id{"plain"});
  CHECK(ring->owner("foo") == tenant_id{"hashed"});
  CHECK_FALSE(ring->owner("bar"));
  CHECK_FALSE(ring->owner(""));
  CHECK_FALSE(http::key_ring::load({{tenant_id{"a"}, ""}}));
  CHECK_FALSE(http::key_ring::load({{tenant_id{""}, "abc"}}));
  CHECK_FALSE(http::key_ring::load({{tenant_id{"a"}, "sha256:12"}}));
}

TEST_CASE("a bearer token is found in any spelling of the scheme", "[http]") {
  CHECK(http::bearer_token("Bearer abc") == "abc");
  CHECK(http::bearer_token("bEARER  abc") == "abc");
  for (auto none : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "Bearer: abc"})
    CHECK(http::bearer_token(none).empty());
}

TEST_CASE("events are framed line by line", "[http]") {
  std::string out;
  http::append_event(out, {"stdout", "{\"a\":1}", "7"});
  CHECK(out == "event: stdout\nid: 7\ndata: {\"a\":1}\n\n");
  out.clear();
  http::append_event(out, {"", "one\ntwo\r\nthree\rfour\n", ""});
  CHECK(out == "data: one\ndata: two\ndata: three\ndata: four\ndata: \n\n");
  out.clear();
  http::append_event(out, {"a\nb", "", "1\r2"});
  CHECK(out == "event: ab\nid: 12\ndata: \n\n");
}

TEST_CASE("a value never starts a new header field", "[http]") {
  std::string out;
  http::append_field(out, "A", "b\r\nC: d\x01");
  CHECK(out == "A: b  C: d \r\n");
  CHECK(http::is_plain_id("0af7-651916_cd:43/dd"));
  CHECK_FALSE(http::is_plain_id(""));
  CHECK_FALSE(http::is_plain_id("a b"));
  CHECK_FALSE(http::is_plain_id(std::string(129, 'a')));
}

TEST_CASE("deadlines expire in time, move, and can be cleared", "[http]") {
  boost::asio::io_context io{1};
  auto wheel = std::make_shared<http::deadline_wheel>(io, 5ms);
  int expired = 0;
  auto count = [](void* counter) { ++*static_cast<int*>(counter); };
  auto begin = std::chrono::steady_clock::now();
  http::deadline soon{*wheel, count, &expired};
  http::deadline cleared{*wheel, count, &expired};
  http::deadline moved_out{*wheel, count, &expired};
  http::deadline moved_in{*wheel, count, &expired};
  http::deadline beyond_one_turn{*wheel, count, &expired};
  soon.set(20ms);
  cleared.set(20ms);
  cleared.clear();
  moved_out.set(10ms);
  moved_out.set(60ms);
  moved_in.set(1h);
  moved_in.set(30ms);
  beyond_one_turn.set(3s); // 600 ticks of 512
  while (expired < 2)
    io.run_one();
  CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
  while (expired < 3)
    io.run_one();
  CHECK(std::chrono::steady_clock::now() - begin >= 60ms);
  while (expired < 4)
    io.run_one();
  CHECK(std::chrono::steady_clock::now() - begin >= 3s);
  while (io.run_one() > 0) // nothing is left to wait for: the timer stops
    ;
  CHECK(expired == 4);
}
