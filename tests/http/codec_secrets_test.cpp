#include "http/codec/create.hpp"
#include "http/codec/secrets.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http::codec;
using nlohmann::json;

namespace {

const std::string real_value = "sk-the-real-value";

json one(json fields = json::object()) {
  json made{{"value", real_value}, {"hosts", {"api.example.com"}}};
  made.update(fields);
  return made;
}

result<create_request> create(json secrets) { return parse_create({{"secrets", std::move(secrets)}}); }

} // namespace

TEST_CASE("secrets are given by name or as a list", "[secrets]") {
  auto by_name = create({{"KEY", one({{"hosts", {"api.example.com", "*.example.org:8443"}}})}});
  REQUIRE(by_name);
  secret expected{"KEY", {real_value}, {"api.example.com", "*.example.org:8443"}, false};
  CHECK(by_name->message.secrets == std::vector{expected});
  auto list = create(json::array({one({{"name", "A"}, {"allow_http", true}}), one({{"name", "B"}})}));
  REQUIRE(list);
  REQUIRE(list->message.secrets.size() == 2);
  CHECK(list->message.secrets[0].name == "A");
  CHECK(list->message.secrets[0].allow_http);
  CHECK_FALSE(list->message.secrets[1].allow_http);
  CHECK(create({{"K", one({{"allowHttp", true}})}})->message.secrets[0].allow_http);
  CHECK(create(nullptr)->message.secrets.empty());
  CHECK(create(json::object())->message.secrets.empty());
}

TEST_CASE("what cannot be put into a header is no secret", "[secrets]") {
  for (auto bad : {"", " x", "x ", "x\r\nY: z", "x\ny", "x\ry", "a\tb", "x\x7f", "x\x01"})
    CHECK(create({{"KEY", one({{"value", bad}})}}).error() == errc::invalid_argument);
  CHECK(create({{"KEY", one({{"value", std::string("x\0y", 3)}})}}).error() == errc::invalid_argument);
  CHECK(create({{"KEY", one({{"value", std::string(most_secret_bytes, 'x')}})}}));
  CHECK_FALSE(create({{"KEY", one({{"value", std::string(most_secret_bytes + 1, 'x')}})}}));
  CHECK(create({{"KEY", one({{"value", "Basic dXNlcg== \xc3\xa9;,\"'"}})}}));
}

TEST_CASE("names of secrets are names of variables", "[secrets]") {
  for (auto bad : {"", "1A", "A-B", "A B", "A=B", "\xc3\xa9"})
    CHECK(create({{bad, one()}}).error() == errc::invalid_argument);
  for (auto good : {"A", "_", "a1_B"})
    CHECK(create({{good, one()}}));
  CHECK_FALSE(create(json::array({one({{"name", "A"}}), one({{"name", "A"}})})));
  CHECK(create(json::array({one()})).error() == errc::validation_failed);
  CHECK_FALSE(parse_create({{"secrets", {{"KEY", one()}}}, {"env", {{"KEY", "x"}}}}));
}

TEST_CASE("secrets are bounded in number and hosts, and name hosts", "[secrets]") {
  json many = json::object();
  for (std::size_t i = 0; i < most_secrets; ++i)
    many["K" + std::to_string(i)] = one();
  CHECK(create(many));
  many["ONE_MORE"] = one();
  CHECK_FALSE(create(many));
  CHECK(create({{"KEY", one({{"hosts", json(most_secret_hosts, "a.example")}})}}));
  CHECK_FALSE(create({{"KEY", one({{"hosts", json(most_secret_hosts + 1, "a.example")}})}}));
  for (auto bad : {"*", "*.com", "127.0.0.1", "::1", "http://a.example"})
    CHECK(create({{"KEY", one({{"hosts", {bad}}})}}).error() == errc::invalid_argument);
  for (const auto& bad : {json(nullptr), json("a.example"), json({1}), json::object()})
    CHECK(create({{"KEY", one({{"hosts", bad}})}}).error() == errc::validation_failed);
  for (const auto& bad : {json("x"), json(7), json({{"KEY", "x"}}), json({{"KEY", nullptr}})})
    CHECK(create(bad).error() == errc::validation_failed);
}

TEST_CASE("no refusal repeats a secret", "[secrets]") {
  auto secrets = GENERATE_COPY(json{{"KEY", one({{"value", real_value + "\n"}})}}, json{{"K-Y", one()}},
                               json{{"KEY", one({{"hosts", {"*"}}})}}, json{{"KEY", real_value}},
                               json(real_value), json::array({one()}), json::array({real_value}),
                               json::array({one({{"name", "A"}}), one({{"name", "A"}})}),
                               json{{"KEY", one({{"allowHttp", real_value}})}});
  auto refused = create(secrets);
  REQUIRE_FALSE(refused);
  CHECK(text_of(refused.error()).find(real_value) == std::string::npos);
}

TEST_CASE("what is shown of secrets is no value", "[secrets]") {
  sandbox_secrets secrets;
  secrets.all.push_back({{"KEY", {real_value}, {"api.example.com"}, true}, "placeholder"});
  auto shown = to_json(uses_of(secrets));
  CHECK(shown ==
        json::parse(
            R"([{"name": "KEY", "hosts": ["api.example.com"], "allowHttp": true, "allow_http": true}])"));
}
