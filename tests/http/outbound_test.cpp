#include "http/outbound/address_policy.hpp"
#include "http/outbound/webhook_client.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http::outbound;

TEST_CASE("addresses of the internet are public", "[outbound]") {
  auto text = GENERATE(as<std::string>{}, "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1",
                       "172.32.0.1", "192.167.1.1", "192.169.0.1", "169.253.1.1", "198.17.0.1", "198.20.0.1",
                       "223.255.255.254", "2606:4700::1111", "2a00:1450::1", "2001:4860::8888");
  INFO(text);
  CHECK(is_public(boost::asio::ip::make_address(text)));
}

TEST_CASE("addresses of this machine, its network, or no network at all are not public", "[outbound]") {
  auto text =
      GENERATE(as<std::string>{}, "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",
               "100.127.255.255", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "172.31.255.255",
               "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
               "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
               "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "100::1",
               "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001::1", "2001:10::1",
               "2001:db8::1", "2002:7f00:1::1", "3fff::1", "4000::1");
  INFO(text);
  CHECK_FALSE(is_public(boost::asio::ip::make_address(text)));
}

TEST_CASE("the URL of a webhook is taken apart", "[outbound]") {
  auto plain = parse_webhook_url("http://example.com");
  REQUIRE(plain);
  CHECK_FALSE(plain->tls);
  CHECK(plain->host == "example.com");
  CHECK(plain->port == "80");
  CHECK(plain->authority == "example.com");
  CHECK(plain->target == "/");
  auto full = parse_webhook_url("https://[2a00:1450::1]:8443/hook/a?b=c");
  REQUIRE(full);
  CHECK(full->tls);
  CHECK(full->host == "2a00:1450::1");
  CHECK(full->port == "8443");
  CHECK(full->authority == "[2a00:1450::1]:8443");
  CHECK(full->target == "/hook/a?b=c");
  CHECK(parse_webhook_url("https://example.com?x=1")->target == "/?x=1");
  CHECK(parse_webhook_url("https://example.com/")->port == "443");
}

TEST_CASE("what is no URL of a webhook is refused", "[outbound]") {
  auto text = GENERATE(as<std::string>{}, "", "example.com", "/hook", "ftp://example.com/",
                       "file:///etc/passwd", "http://", "http:///x", "https://me:secret@example.com/",
                       "https://example.com/#part", "http://exa mple.com/", "http://example.com/\r\nX: y");
  INFO(text);
  CHECK_FALSE(parse_webhook_url(text));
}

TEST_CASE("a signature is the HMAC-SHA256 of timestamp and body", "[outbound]") {
  // Computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of ours'
  CHECK(webhook_signature("a secret of ours", "1700000000", R"({"a":1})") ==
        "v1=19cd0e546804e6e3c2f74b9695783785acc9dd0fff5a393201e89b04181d76c2");
}
