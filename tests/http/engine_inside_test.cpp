#include "http/engine_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sys/eventfd.h>

using namespace sandy;
using namespace sandy::tests;

namespace {

const sandbox_id box{"46da12d345fb7c0146da12d3"};
const principal who{tenant_id{"acme"}, box};
const std::string tiny_request = "GET /tiny HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string wait_request = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string key = "Authorization: Bearer secret-key\r\n";

std::string whoami(std::string_view headers) {
  return "GET /api/things/x HTTP/1.1\r\nHost: h\r\n" + std::string{headers} + "\r\n";
}

response answer_of(std::uint16_t port, const std::string& request) {
  raw_client client{port};
  REQUIRE(client.send(request));
  return client.receive();
}

bool refuses(std::uint16_t port) {
  try {
    raw_client client{port};
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

} // namespace

TEST_CASE("a request from inside a sandbox says so, and needs a key like any other", "[http][inside]") {
  engine server;
  auto door = server.open_door(who);
  auto inside = nlohmann::json::parse(answer_of(door.port, whoami(key)).body);
  CHECK(inside["tenant"] == "acme");
  CHECK(inside["sandbox"] == "");
  CHECK(inside["inside"] == box.value);
  auto outside = nlohmann::json::parse(answer_of(server.port, whoami(key)).body);
  CHECK(outside["inside"] == "");
  CHECK(answer_of(door.port, whoami("")).status == 401);
  CHECK(answer_of(door.port, whoami("Authorization: Bearer wrong\r\n")).status == 401);
  CHECK(answer_of(door.port, tiny_request).status == 200); // public
}

TEST_CASE("where nobody needs a key, a sandbox is itself and not everybody", "[http][inside]") {
  engine server{quick_limits(), {}, true};
  auto door = server.open_door(who);
  auto inside = nlohmann::json::parse(answer_of(door.port, whoami("")).body);
  CHECK((inside["tenant"] == "acme" && inside["sandbox"] == box.value));
  auto outside = nlohmann::json::parse(answer_of(server.port, whoami("")).body);
  CHECK((outside["tenant"] == "default" && outside["sandbox"] == ""));
}

TEST_CASE("the end of a sandbox ends its door, and what came through it, at once", "[http][inside]") {
  engine server;
  auto door = server.open_door(who);
  auto neighbour = server.open_door({tenant_id{"acme"}, sandbox_id{"000000000000000000000000"}});
  raw_client idle{door.port}, running{door.port}, streaming{door.port}, silent{door.port};
  REQUIRE(idle.send(tiny_request));
  REQUIRE(idle.receive().status == 200);
  REQUIRE(running.send(wait_request));
  REQUIRE(streaming.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n"));
  REQUIRE(eventually([] { return trace().entered == 2; }));
  REQUIRE(eventually([&] { return server.observer.opened == 4; }));
  door.owner.reset();
  CHECK(idle.receive_all().empty());
  CHECK(running.receive_all().empty());
  CHECK_FALSE(streaming.receive().complete);
  CHECK(silent.receive_all().empty());
  CHECK(eventually([&] { return server.observer.closed == 4 && trace().ended == 2; }));
  CHECK(refuses(door.port));
  CHECK(answer_of(neighbour.port, tiny_request).status == 200);
  CHECK(answer_of(server.port, tiny_request).status == 200);
}

TEST_CASE("a sandbox has so many connections at a time, and others wait for their turn", "[http][inside]") {
  engine server;
  auto door = server.open_door(who);
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<raw_client>(door.port));
    REQUIRE(clients.back()->send(tiny_request));
    REQUIRE(clients.back()->receive().status == 200);
  }
  raw_client late{door.port};
  REQUIRE(late.send(tiny_request));
  for (int i = 0; i < 3; ++i) // both threads of the server had time to accept it
    CHECK(answer_of(server.port, tiny_request).status == 200);
  CHECK(eventually([&] { return server.observer.closed == 3; }));
  CHECK(server.observer.opened == 64 + 3);
  clients.pop_back();
  CHECK(late.receive().status == 200);
}

TEST_CASE("bodies from inside one sandbox fill no more memory than two of the largest", "[http][inside]") {
  auto limits = quick_limits();
  limits.json_body_bytes = 300'000;
  engine server{limits};
  auto door = server.open_door(who);
  auto neighbour = server.open_door({tenant_id{"acme"}, sandbox_id{"000000000000000000000000"}});
  auto posted = [](std::string_view path) {
    return "POST " + std::string{path} + " HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" +
           std::string(500'000, 'x');
  };
  raw_client holding{door.port};
  REQUIRE(holding.send(posted("/wait")));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  auto refused = answer_of(door.port, posted("/echo"));
  CHECK(refused.status == 503);
  CHECK(refused.fields["retry-after"] == "1");
  CHECK(answer_of(door.port, tiny_request).status == 200);
  CHECK(answer_of(neighbour.port, posted("/echo")).status == 200);
  CHECK(answer_of(server.port, posted("/echo")).status == 200);
  trace().release = true;
  CHECK(holding.receive().status == 200);
  CHECK(answer_of(door.port, posted("/echo")).status == 200); // what was held is free again
}

TEST_CASE("connections from inside take no place of those from outside", "[http][inside]") {
  auto limits = quick_limits();
  limits.connections = 2;
  engine server{limits};
  auto door = server.open_door(who);
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<raw_client>(door.port));
    REQUIRE(clients.back()->send(tiny_request));
    REQUIRE(clients.back()->receive().status == 200);
  }
  CHECK(answer_of(server.port, tiny_request).status == 200);
}

TEST_CASE("a server that stops ends what came from inside, too", "[http][inside]") {
  engine server;
  auto door = server.open_door(who);
  raw_client idle{door.port}, finishing{door.port};
  REQUIRE(idle.send(tiny_request));
  REQUIRE(idle.receive().status == 200);
  REQUIRE(finishing.send(wait_request));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  SECTION("after its answer, within the grace") {
    std::thread release{[&] {
      eventually([&] { return refuses(server.port); });
      trace().release = true;
    }};
    CHECK(server.stop(20s) == 0);
    release.join();
    auto last = finishing.receive();
    CHECK((last.status == 200 && last.fields["connection"] == "close"));
  }
  SECTION("without an answer, after the grace") {
    CHECK(server.stop(0ms) == 0);
    CHECK(finishing.receive_all().empty());
  }
  CHECK(idle.receive_all().empty());
  CHECK(refuses(door.port));
  auto late = server.open_door(who); // a sandbox that becomes ready now
  CHECK(eventually([&] { return refuses(late.port); }));
}

TEST_CASE("a descriptor that does not listen is refused", "[http][inside]") {
  engine server;
  CHECK(server.server().serve_inside(runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)}, who) == nullptr);
}
