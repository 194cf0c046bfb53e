#include "http/codec/create.hpp"
#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

TEST_CASE_METHOD(stage, "a network is shown with its use", "[routes]") {
  auto& ex = call("GET", of_living("/network"));
  CHECK(ex.status == 200);
  auto body = ex.json();
  CHECK((body["usage"]["sent_bytes"] == 1 && body["usage"]["receivedBytes"] == 2));
  CHECK((body["usage"]["connections"] == 3 && body["usage"]["connectionsRefused"] == 4));
  CHECK((body["allow"].is_array() && body["deny"].is_array() && body["maxBytes"] == 0));
}

TEST_CASE_METHOD(stage, "a network is changed by a mode or by an object", "[routes]") {
  for (const auto* text :
       {R"({"mode":"platform"})", R"({"network":"platform"})", R"({"network":{"mode":"PLATFORM"}})"}) {
    auto& ex = call("PUT", of_living("/network"), text);
    CHECK(ex.status == 200);
    CHECK(ex.json()["mode"] == "platform");
  }
  CHECK(script.asked.front() == "set_network platform acme " + living.value);
  auto body = call("PUT", of_living("/network"),
                   R"({"allow":[" *.Example.com:443 "],"deny":["10.0.0.0/8"],"max_bytes":"1Ki"})")
                  .json();
  CHECK((body["allow"] == json{"*.example.com:443"} && body["deny"] == json{"10.0.0.0/8"}));
  CHECK(body["max_bytes"] == 1024);
}

TEST_CASE_METHOD(stage, "a network that cannot be understood is refused", "[routes]") {
  for (const auto* text : {R"({"mode":"everything"})", R"({"mode":"usual"})", R"({"allow":["http://x"]})",
                           R"({"deny":["*"]})", R"({"max_bytes":-1})", R"({"max_bytes":"x"})", "{"})
    CHECK(call("PUT", of_living("/network"), text).status == 400);
  for (const auto* text : {R"({"allow":"x"})", R"({"allow":[7]})", R"({"network":7})"})
    CHECK(call("PUT", of_living("/network"), text).status == 422);
  json many{{"allow", json::array()}};
  for (std::size_t i = 0; i <= most_network_rules; ++i)
    many["allow"].push_back("a.example");
  CHECK(call("PUT", of_living("/network"), many.dump()).status == 400);
  CHECK(script.asked.empty());
  CHECK(call("PUT", "/api/sandboxes/nonsense/network", "{}").status == 404);
}

TEST_CASE("a creation names its network", "[codec]") {
  auto network = [](const char* text) {
    auto request = http::codec::parse_create(json::parse(text));
    REQUIRE(request);
    return request->message.network;
  };
  CHECK(network("{}") == network_policy{});
  CHECK(network(R"({"network":"none"})").mode == network_mode::none);
  CHECK(network(R"({"network":{"allow":["a.example"],"maxBytes":5}})") ==
        network_policy{network_mode::usual, {"a.example"}, {}, 5});
  CHECK_FALSE(http::codec::parse_create(json::parse(R"({"network":{"allow":["1.2.3"]}})")));
  CHECK_FALSE(http::codec::parse_create(json::parse(R"({"network":[]})")));
}
