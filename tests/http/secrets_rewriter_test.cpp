#include "http/codec/base64.hpp"
#include "http/egress/host_pattern.hpp"
#include "http/egress/placeholders.hpp"
#include "http/egress/request_rewriter.hpp"

#include <caf/deep_to_string.hpp>
#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http::egress;

namespace {

constexpr std::string_view mark = "sandy-secret-00112233445566778899aabbccddeeff";
constexpr std::string_view value = "the real value";

replacements one_secret() {
  replacements made;
  made.add(std::make_shared<const placed_secret>(
      placed_secret{{"KEY", {std::string{value}}, {"api.example.com"}, false}, std::string{mark}}));
  return made;
}

const replacements secrets = one_secret();

struct rewriting {
  request_rewriter rewriter{"api.example.com", 443, true, secrets};
  std::string out;
  result<void> feed(std::string_view bytes) { return rewriter.feed(bytes, out); }
};

std::string get(std::string_view fields) {
  return "GET /v1 HTTP/1.1\r\nHost: api.example.com\r\n" + std::string{fields} + "\r\n";
}

} // namespace

TEST_CASE("a placeholder in a header becomes the secret", "[secrets]") {
  rewriting it;
  REQUIRE(
      it.feed(get("Authorization: Bearer " + std::string{mark} + "\r\nX-Api-Key:" + std::string{mark} +
                  "\r\nX-Both: " + std::string{mark} + ";" + std::string{mark} + "\r\nX-None: none\r\n")));
  CHECK(it.out == get("Authorization: Bearer the real value\r\nX-Api-Key: the real value\r\n"
                      "X-Both: the real value;the real value\r\nX-None: none\r\n"));
  CHECK(it.rewriter.requests() == 1);
  CHECK(it.rewriter.requests_with_secrets() == 1);
}

TEST_CASE("a placeholder within basic credentials becomes the secret", "[secrets]") {
  rewriting it;
  auto credentials = http::codec::base64_encode("me:" + std::string{mark});
  REQUIRE(it.feed(get("Authorization: basic " + credentials + "\r\n")));
  CHECK(it.out == get("Authorization: basic " + http::codec::base64_encode("me:the real value") + "\r\n"));
  rewriting other;
  auto foreign = get("Authorization: Basic " + http::codec::base64_encode("me:pass") + "\r\n");
  REQUIRE(other.feed(foreign));
  CHECK(other.out == foreign);
  CHECK(other.rewriter.requests_with_secrets() == 0);
}

TEST_CASE("what is no placeholder of the sandbox stays as it is", "[secrets]") {
  rewriting it;
  auto request = get("A: sandy-secret-ffffffffffffffffffffffffffffffff\r\nB: sandy-secret-\r\n"
                     "C: sandy-secret-00112233445566778899aabbccddeef\r\nConnection: " +
                     std::string{mark} + "\r\n");
  REQUIRE(it.feed(request));
  CHECK(it.out == request);
}

TEST_CASE("paths and bodies are never changed", "[secrets]") {
  rewriting it;
  auto body = "key=" + std::string{mark};
  auto request = "POST /" + std::string{mark} + "?k=" + std::string{mark} +
                 " HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: " + std::to_string(body.size()) +
                 "\r\n\r\n" + body;
  REQUIRE(it.feed(request));
  CHECK(it.out == request);
  CHECK(it.rewriter.requests_with_secrets() == 0);
}

TEST_CASE("a chunked body without any bytes is one in whatever pieces it comes", "[secrets]") {
  auto first = std::string{"PUT /b HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"};
  auto stream = first + "0\r\n\r\n" + get({});
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    CAPTURE(piece);
    rewriting it;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      REQUIRE(it.feed(std::string_view{stream}.substr(at, piece)));
    CHECK(it.out == stream);
    CHECK(it.rewriter.requests() == 2);
  }
}

TEST_CASE("requests come out the same in whatever pieces they come", "[secrets]") {
  auto marked = "X-Key: " + std::string{mark} + "\r\n";
  auto stream = "\r\n" + get(marked) +
                "POST /a HTTP/1.1\r\nHost: API.example.com.:443\r\nContent-Length: 5\r\n" + marked +
                "\r\nhello" + "PUT /b HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n" +
                marked + "\r\n5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailing: x\r\n\r\n" + get(marked);
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    CAPTURE(piece);
    rewriting it;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      REQUIRE(it.feed(std::string_view{stream}.substr(at, piece)));
    CHECK(it.rewriter.requests() == 4);
    CHECK(it.rewriter.requests_with_secrets() == 4);
    CHECK(it.out.find(mark) == std::string::npos);
    CHECK(it.out.find("Trailing") == std::string::npos);
    CHECK(it.out.find("ext=1") == std::string::npos);
    CHECK(it.out.find("0\r\n\r\nGET /v1 HTTP/1.1\r\n") != std::string::npos);
  }
  rewriting whole;
  REQUIRE(whole.feed(stream));
  CHECK(whole.out.find("\r\n\r\n6\r\nhello!\r\n0\r\n\r\nGET") != std::string::npos);
}

TEST_CASE("every request must be for the host of the connection", "[secrets]") {
  auto host = GENERATE(as<std::string>{}, "evil.example.com", "api.example.com.evil.com",
                       "api.example.com:444", "api.example.com:", "api.example.com@evil.com", "evil.com:443",
                       "", "api.example.com, evil.com", "api.example.com..", "93.184.216.34");
  CAPTURE(host);
  rewriting it;
  auto refused = it.feed("GET / HTTP/1.1\r\nHost: " + host + "\r\nX: " + std::string{mark} + "\r\n\r\n");
  REQUIRE_FALSE(refused);
  CHECK((refused.error() == errc::forbidden || refused.error() == errc::invalid_argument));
  CHECK(it.out.empty());
  rewriting second;
  REQUIRE(second.feed(get("")));
  second.out.clear();
  CHECK_FALSE(second.feed("GET / HTTP/1.1\r\nHost: " + host + "\r\nX: " + std::string{mark} + "\r\n\r\n"));
  CHECK(second.out.empty());
}

TEST_CASE("requests that two programs could read differently are refused", "[secrets]") {
  auto request = GENERATE(
      as<std::string>{},
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5, 5\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: +5\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: xchunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "POST / HTTP/1.0\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding : chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\nHost: api.example.com\n\n", "GET / HTTP/2.0\r\nHost: api.example.com\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET http://evil.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
      "GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
      "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
      "TRACE / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
      "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
      "fffffffffffffffff\r\nx\r\n");
  CAPTURE(request);
  rewriting it;
  CHECK_FALSE(it.feed(request));
}

TEST_CASE("heads have a bound, before and after their secrets", "[secrets]") {
  rewriting endless;
  REQUIRE(endless.feed("GET / HTTP/1.1\r\nHost: api.example.com\r\nX: "));
  result<void> last = caf::unit;
  std::size_t fed = 0;
  for (std::string more(1000, 'x'); last && fed < 1'000'000; fed += more.size())
    last = endless.feed(more);
  REQUIRE_FALSE(last);
  CHECK(last.error() == errc::header_too_large);
  CHECK(fed <= request_rewriter::most_head_bytes + 1000);

  replacements large;
  large.add(std::make_shared<const placed_secret>(
      placed_secret{{"KEY", {std::string(16384, 'v')}, {"api.example.com"}, false}, std::string{mark}}));
  request_rewriter rewriter{"api.example.com", 443, true, large};
  std::string fields, out;
  for (int i = 0; i < 20; ++i)
    fields += "X: " + std::string{mark} + "\r\n";
  auto refused = rewriter.feed(get(fields), out);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::header_too_large);
  CHECK(out.empty());
}

TEST_CASE("after a request for a WebSocket nothing is a request", "[secrets]") {
  rewriting it;
  auto upgrade =
      get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX: " + std::string{mark} + "\r\n");
  REQUIRE(it.feed(upgrade));
  CHECK(it.out == get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX: the real value\r\n"));
  it.out.clear();
  auto frames = get("X: " + std::string{mark} + "\r\n") + std::string("\0\xff\r\n\r\n", 6);
  REQUIRE(it.feed(frames));
  CHECK(it.out == frames);
}

TEST_CASE("without TLS nothing follows the request for a WebSocket before its host agreed", "[secrets]") {
  auto upgrade = get("Connection: Upgrade\r\nUpgrade: websocket\r\n");
  request_rewriter early{"api.example.com", 80, false, secrets};
  std::string out;
  CHECK_FALSE(early.feed(upgrade + get(""), out));
  CHECK(out == upgrade);
  out.clear();
  request_rewriter patient{"api.example.com", 80, false, secrets};
  REQUIRE(patient.feed(upgrade, out));
  patient.switched();
  REQUIRE(patient.feed("frames", out));
  CHECK(out == upgrade + "frames");
  out.clear();
  request_rewriter late{"api.example.com", 80, false, secrets};
  REQUIRE(late.feed(get(""), out));
  CHECK_FALSE(late.feed(upgrade, out));
  CHECK(out == get(""));
}

TEST_CASE("a few empty lines may come before a request", "[secrets]") {
  rewriting it;
  REQUIRE(it.feed("\r\n\r\n\r"));
  REQUIRE(it.feed("\n" + get("")));
  REQUIRE(it.feed("\r\n" + get("")));
  CHECK(it.rewriter.requests() == 2);
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += "\r\n";
  CHECK_FALSE(it.feed(many));
}

TEST_CASE("what placeholders become is bounded while it is made", "[secrets]") {
  replacements large;
  large.add(std::make_shared<const placed_secret>(
      placed_secret{{"KEY", {std::string(16384, 'v')}, {"api.example.com"}, false}, std::string{mark}}));
  std::string marks;
  for (int i = 0; i < 1400; ++i)
    marks += mark;
  auto changed = large.applied_to("X", marks);
  REQUIRE(changed);
  CHECK(changed->size() > replacements::most_bytes);
  CHECK(changed->size() <= replacements::most_bytes + 16384);
}

TEST_CASE("no other protocol is proposed to the host", "[secrets]") {
  rewriting it;
  REQUIRE(
      it.feed(get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n")));
  CHECK(it.out == get("Connection: Upgrade, HTTP2-Settings\r\n"));
  it.out.clear();
  REQUIRE(it.feed(get("X: " + std::string{mark} + "\r\n")));
  CHECK(it.out == get("X: the real value\r\n"));
}

TEST_CASE("a large body passes piece by piece", "[secrets]") {
  rewriting it;
  constexpr std::uint64_t length = 300ull << 20;
  REQUIRE(it.feed("PUT / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: " + std::to_string(length) +
                  "\r\n\r\n"));
  std::string piece(1 << 20, 'b');
  std::uint64_t passed = 0;
  for (std::uint64_t sent = 0; sent < length; sent += piece.size()) {
    it.out.clear();
    REQUIRE(it.feed(piece));
    REQUIRE(it.out.size() == piece.size());
    passed += it.out.size();
  }
  CHECK(passed == length);
  it.out.clear();
  REQUIRE(it.feed(get("X: " + std::string{mark} + "\r\n")));
  CHECK(it.out == get("X: the real value\r\n"));
}

TEST_CASE("hosts are named by name", "[secrets]") {
  auto exact = parse_host_pattern("API.Example.com.");
  REQUIRE(exact);
  CHECK(exact->names("api.example.com", 443, true));
  CHECK(exact->names("api.example.com", 80, false));
  CHECK_FALSE(exact->names("api.example.com", 8443, true));
  CHECK_FALSE(exact->names("api.example.com", 80, true));
  CHECK_FALSE(exact->names("v2.api.example.com", 443, true));
  CHECK_FALSE(exact->names("xapi.example.com", 443, true));
  auto below = parse_host_pattern("*.example.com:8443");
  REQUIRE(below);
  CHECK(below->names("a.example.com", 8443, true));
  CHECK(below->names("a.b.example.com", 8443, true));
  CHECK_FALSE(below->names("example.com", 8443, true));
  CHECK_FALSE(below->names(".example.com", 8443, true));
  CHECK_FALSE(below->names("aexample.com", 8443, true));
  CHECK_FALSE(below->names("a.example.com", 443, true));
}

TEST_CASE("what is no host name is no pattern", "[secrets]") {
  auto text = GENERATE(as<std::string>{}, "", "*", "*.", "*.com", "*.*.com", "a.*.com", "a*.example.com", ".",
                       "a..b", "-a.com", "a-.com", "a b.com", "a.com/", "http://a.com", "a.com:0",
                       "a.com:65536", "a.com:", "a.com:x", "a.com:1:2", "1.2.3.4", "*.1.2.3", "127.1",
                       "2130706433", "0x7f.1", "a.0x7f000001", "[::1]", "::1", "\xc3\xa9.com", "a.com,b.com",
                       "a.com\r\n", std::string(64, 'a') + ".com", std::string(250, 'a') + ".com");
  CAPTURE(text);
  CHECK_FALSE(parse_host_pattern(text));
}

TEST_CASE("placeholders differ and look like keys", "[secrets]") {
  auto one = make_placeholder(), other = make_placeholder();
  REQUIRE(one);
  REQUIRE(other);
  CHECK(*one != *other);
  CHECK(one->size() == std::string_view{"sandy-secret-"}.size() + 32);
  CHECK(one->starts_with("sandy-secret-"));
}

TEST_CASE("a secret is hidden from whoever prints its message", "[secrets]") {
  secret given{"KEY", {std::string{value}}, {"api.example.com"}, false};
  auto text = caf::deep_to_string(given);
  CHECK(text.find(value) == std::string::npos);
  CHECK(text.find("(hidden)") != std::string::npos);
  CHECK(caf::deep_to_string(std::vector{given, given}).find(value) == std::string::npos);
}
