#include "http/egress/addresses.hpp"
#include "http/egress/known_names.hpp"
#include "http/egress/policy.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy;
using namespace sandy::http::egress;
using namespace std::chrono_literals;

namespace {

network_address at(const char* text) {
  auto address = parse_address(text);
  REQUIRE(address);
  return *address;
}

network_policy limited(std::vector<std::string> allow, std::vector<std::string> deny = {}) {
  return {network_mode::internet, std::move(allow), std::move(deny), 0};
}

refusal unnamed(const policy& rules, const char* address, std::uint16_t port,
                const std::vector<std::string>& known = {}) {
  return rules.judge({at(address), port}, std::nullopt, known);
}

refusal named(const policy& rules, const char* address, std::uint16_t port, std::string name) {
  return rules.judge({at(address), port}, std::move(name), {});
}

} // namespace

TEST_CASE("a destination is read as it is written", "[network_rule]") {
  auto rule = parse_network_rule("*.Example.COM.:80-443");
  REQUIRE(rule);
  CHECK(rule->domain == "example.com");
  CHECK(rule->matches("a.b.example.com", 443));
  CHECK_FALSE(rule->matches("example.com", 443));
  CHECK_FALSE(rule->matches("badexample.com", 443));
  CHECK_FALSE(rule->matches("a.example.com", 444));
  rule = parse_network_rule("93.184.0.0/15:443");
  REQUIRE(rule);
  CHECK(rule->matches(at("93.185.255.1"), 443));
  CHECK_FALSE(rule->matches(at("93.186.0.1"), 443));
  CHECK_FALSE(rule->matches(at("93.184.0.1"), 80));
  for (auto text : {"2606:2800::/32", "[2606:2800::/32]", "[2606:2800::]/32", "[2606:2800::/32]:1-65535"}) {
    rule = parse_network_rule(text);
    INFO(text);
    REQUIRE(rule);
    CHECK(rule->matches(at("2606:2800:1::7"), 80));
    CHECK_FALSE(rule->matches(at("2606:2801::"), 80));
  }
  CHECK(parse_network_rule("0.0.0.0/0")->matches(at("1.2.3.4"), 1));
  CHECK_FALSE(parse_network_rule("0.0.0.0/0")->matches(at("2606::1"), 1));
  CHECK(parse_network_rule("::/0")->matches(at("2606::1"), 1));
  CHECK_FALSE(parse_network_rule("::/0")->matches(at("1.2.3.4"), 1));
  CHECK_FALSE(parse_network_rule("::/80")->matches(at("1.2.3.4"), 1));
  CHECK(parse_network_rule("::ffff:1.2.0.0/112")->matches(at("1.2.3.4"), 1)); // IPv4 in other words
}

TEST_CASE("what is no destination is refused", "[network_rule]") {
  for (auto text : {"",
                    "*",
                    "*.",
                    "http://example.com",
                    "example.com/path",
                    "example.com:0",
                    "example.com:70000",
                    "example.com:9-8",
                    "example.com:",
                    "a..b",
                    "-a.com",
                    "a b.com",
                    "1.2.3",
                    "1.2.3.4/33",
                    "1.2.3.4/",
                    "::1/129",
                    "[::1",
                    "[::1]x",
                    "[1.2.3.4/8]/8",
                    "0x7f.1",
                    "2130706433",
                    "example.com/8",
                    "a@b.com",
                    "*.*.com",
                    "fe80::1%eth0"}) {
    INFO(text);
    CHECK_FALSE(parse_network_rule(text));
  }
}

TEST_CASE("any text is read or refused, and what is read can be written again", "[network_rule]") {
  std::mt19937 random{7};
  const std::string letters = "*.:/[]-019afx%@\0 e";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto size = random() % 24; text.size() < size;)
      text += letters[random() % letters.size()];
    auto rule = parse_network_rule(text);
    if (rule)
      CHECK(rule->covers(*rule));
  }
}

TEST_CASE("a rule covers what it matches", "[network_rule]") {
  auto covers = [](const char* wide, const char* narrow) {
    return parse_network_rule(wide)->covers(*parse_network_rule(narrow));
  };
  CHECK(covers("*.example.com", "a.example.com"));
  CHECK(covers("*.example.com", "*.a.example.com"));
  CHECK(covers("*.example.com", "*.example.com:443"));
  CHECK(covers("10.0.0.0/8", "10.1.0.0/16:80"));
  CHECK_FALSE(covers("*.example.com", "example.com"));
  CHECK_FALSE(covers("a.example.com", "*.a.example.com"));
  CHECK_FALSE(covers("*.example.com:443", "a.example.com"));
  CHECK_FALSE(covers("10.1.0.0/16", "10.0.0.0/8"));
  CHECK_FALSE(covers("0.0.0.0/0", "example.com"));
  CHECK(covers("::/0", "2606::/32"));
  CHECK(covers("::/0", "2606::1"));
  CHECK(covers("::/0", "::/64"));
  CHECK(covers("::ffff:0:0/96", "10.0.0.0/8"));
  CHECK_FALSE(covers("::/0", "10.0.0.0/8"));
  CHECK_FALSE(covers("::/0", "0.0.0.0/0"));
}

TEST_CASE("a policy is stricter when it allows nothing new", "[network_policy]") {
  auto internet = limited({});
  CHECK(is_stricter_or_same(internet, internet));
  CHECK(is_stricter_or_same(limited({"example.com"}), internet));
  CHECK_FALSE(is_stricter_or_same(internet, limited({"example.com"})));
  CHECK(is_stricter_or_same(limited({"a.example.com:443"}), limited({"*.example.com", "other.com"})));
  CHECK_FALSE(is_stricter_or_same(limited({"example.com"}), limited({"*.example.com"})));
  CHECK_FALSE(is_stricter_or_same(limited({}, {"a.com"}), limited({}, {"*.com"})));
  CHECK(is_stricter_or_same(limited({}, {"*.com", "x.org"}), limited({}, {"a.com"})));
  CHECK_FALSE(is_stricter_or_same({network_mode::internet, {}, {}, 0}, {network_mode::platform, {}, {}, 0}));
  CHECK_FALSE(is_stricter_or_same({network_mode::none, {}, {}, 0}, {network_mode::none, {}, {}, 5}));
  CHECK(is_stricter_or_same({network_mode::none, {}, {}, 4}, {network_mode::none, {}, {}, 5}));
}

TEST_CASE("without lists everything goes through, and a mode without internet lets nothing",
          "[egress_policy]") {
  CHECK(unnamed(policy{{limited({})}}, "93.184.216.34", 22) == refusal::none);
  CHECK(unnamed(policy{}, "93.184.216.34", 22) == refusal::mode);
  CHECK(unnamed(policy{{limited({}), {network_mode::platform, {}, {}, 0}}}, "93.184.216.34", 22) ==
        refusal::mode);
  CHECK(policy{{limited({})}}.judge_name("example.com") == refusal::none);
  CHECK(policy{}.judge_name("example.com") == refusal::mode);
}

TEST_CASE("a list of addresses needs no name", "[egress_policy]") {
  policy rules{{limited({"93.184.0.0/16:443"}, {"93.184.7.0/24"})}};
  CHECK(unnamed(rules, "93.184.216.34", 443) == refusal::none);
  CHECK(unnamed(rules, "93.184.216.34", 80) == refusal::not_named);
  CHECK(unnamed(rules, "93.184.7.1", 443) == refusal::denied);
  CHECK(unnamed(rules, "1.1.1.1", 443) == refusal::not_named);
  CHECK_FALSE(rules.has_names());
  // Its owner could say anything in the answer: no name is asked for.
  CHECK(rules.judge_name("example.com") == refusal::not_named);
}

TEST_CASE("a list of names needs a name, or an address that was an answer for one", "[egress_policy]") {
  policy rules{{limited({"good.example", "*.good.example:443"}, {"bad.good.example"})}};
  CHECK(rules.has_names());
  CHECK(named(rules, "93.184.216.34", 80, "good.example") == refusal::none);
  CHECK(named(rules, "93.184.216.34", 80, "a.good.example") == refusal::not_named);
  CHECK(named(rules, "93.184.216.34", 443, "a.good.example") == refusal::none);
  CHECK(named(rules, "93.184.216.34", 443, "bad.good.example") == refusal::denied);
  CHECK(named(rules, "93.184.216.34", 443, "other.example") == refusal::not_named);
  CHECK(unnamed(rules, "93.184.216.34", 22) == refusal::not_named);
  CHECK(unnamed(rules, "93.184.216.34", 22, {"good.example"}) == refusal::none);
  CHECK(unnamed(rules, "93.184.216.34", 22, {"other.example", "bad.good.example"}) != refusal::none);
  CHECK(rules.judge_name("a.good.example") == refusal::none);
  CHECK(rules.judge_name("bad.good.example") == refusal::denied);
  CHECK(rules.judge_name("example") == refusal::not_named);
}

TEST_CASE("a name that is denied is not reached by leaving it out", "[egress_policy]") {
  policy rules{{limited({}, {"bad.example"})}};
  CHECK(named(rules, "93.184.216.34", 443, "bad.example") == refusal::denied);
  CHECK(named(rules, "93.184.216.34", 443, "good.example") == refusal::none);
  CHECK(unnamed(rules, "93.184.216.34", 443) == refusal::not_named);
  CHECK(unnamed(rules, "93.184.216.34", 443, {"bad.example"}) == refusal::denied);
  CHECK(unnamed(rules, "93.184.216.34", 443, {"good.example"}) == refusal::none);
}

TEST_CASE("every policy must allow, and one name must do for all of them", "[egress_policy]") {
  policy rules{{limited({"a.example", "b.example"}), limited({"b.example", "c.example"})}};
  CHECK(named(rules, "1.2.3.4", 80, "a.example") == refusal::not_named);
  CHECK(named(rules, "1.2.3.4", 80, "b.example") == refusal::none);
  CHECK(unnamed(rules, "1.2.3.4", 80, {"a.example", "c.example"}) == refusal::not_named);
  CHECK(unnamed(rules, "1.2.3.4", 80, {"a.example", "b.example"}) == refusal::none);
}

TEST_CASE("an entry that cannot be read never allows more", "[egress_policy]") {
  CHECK(unnamed(policy{{limited({"??"})}}, "1.2.3.4", 80) != refusal::none);
  CHECK(unnamed(policy{{limited({}, {"??"})}}, "1.2.3.4", 80) == refusal::denied);
}

TEST_CASE("the smallest bound counts", "[egress_policy]") {
  CHECK(policy{{{network_mode::internet, {}, {}, 9},
                {network_mode::internet, {}, {}, 0},
                {network_mode::internet, {}, {}, 7}}}
            .max_bytes() == 7);
}

TEST_CASE("addresses that are not public are not reached, unless they are opened", "[egress_addresses]") {
  reachable_addresses plain{{}}, opened{{*parse_network_rule("10.1.0.0/16:80")}};
  for (auto text : {"127.0.0.1",
                    "0.0.0.0",
                    "10.1.2.3",
                    "172.16.0.1",
                    "192.168.1.1",
                    "169.254.169.254",
                    "100.100.100.200",
                    "224.0.0.1",
                    "255.255.255.255",
                    "198.18.0.1",
                    "192.0.0.8",
                    "::1",
                    "::",
                    "fd00:ec2::254",
                    "fe80::1",
                    "ff02::1",
                    "::ffff:10.0.0.1",
                    "::ffff:127.0.0.1",
                    "64:ff9b::a01:203",
                    "2002:a01:203::1",
                    "2001::1",
                    "2001:db8::1"}) {
    INFO(text);
    CHECK_FALSE(plain.may_reach(at(text), 80));
    CHECK_FALSE(plain.may_answer(at(text)));
  }
  CHECK(plain.may_reach(at("93.184.216.34"), 80));
  CHECK(plain.may_reach(at("2606:2800:220:1::1"), 80));
  CHECK(opened.may_reach(at("10.1.2.3"), 80));
  CHECK(opened.may_reach(at("::ffff:10.1.2.3"), 80)); // the same address
  CHECK_FALSE(opened.may_reach(at("10.1.2.3"), 81));
  CHECK_FALSE(opened.may_reach(at("10.2.2.3"), 80));
  reachable_addresses all{{*parse_network_rule("0.0.0.0/0"), *parse_network_rule("::/0")}};
  for (auto text : {"127.0.0.1", "127.83.255.253", "127.255.255.254", "0.0.0.0", "224.0.0.1", "::1",
                    "::", "ff02::1", "::ffff:127.0.0.2"}) {
    INFO(text);
    CHECK_FALSE(all.may_reach(at(text), 80)); // the machine's own, whatever is opened
    CHECK_FALSE(all.may_answer(at(text)));
  }
  CHECK(all.may_reach(at("10.1.2.3"), 80));
  CHECK(all.may_reach(at("fd00::7"), 80));
}

TEST_CASE("names are remembered for their time, and not without bound", "[egress_known_names]") {
  known_names known;
  const known_names::time_point now{};
  const auto place = at("1.2.3.4");
  known.add(place, "a.example", now + 10s, now);
  known.add(place, "b.example", now + 20s, now);
  CHECK(known.names_of(place, now) == std::vector<std::string>{"a.example", "b.example"});
  CHECK(known.names_of(place, now + 10s) == std::vector<std::string>{"b.example"});
  CHECK(known.has(place, "b.example", now + 19s));
  CHECK_FALSE(known.has(place, "b.example", now + 20s));
  CHECK_FALSE(known.has(at("1.2.3.5"), "a.example", now));
  for (std::size_t i = 0; i < 3 * known_names::most_addresses; ++i) {
    network_address other{};
    other[0] = static_cast<std::uint8_t>(i >> 8), other[1] = static_cast<std::uint8_t>(i);
    known.add(other, "c.example", now + 30s + std::chrono::seconds{i}, now);
    if (i == 0)
      for (int n = 0; n < 40; ++n)
        known.add(other, std::to_string(n) + ".example", now + 30s, now);
    CHECK(known.names_of(other, now).size() <= known_names::most_names);
  }
  CHECK(known.names_of(place, now).empty()); // the first to end
}
