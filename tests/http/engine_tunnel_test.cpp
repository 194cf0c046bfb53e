// Connections that a handler takes over, on the real engine.

#include "http/engine_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::tests;

namespace {

constexpr std::string_view upgrade =
    "GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

bool reported(engine& server, const std::string& line) {
  return eventually([&] {
    auto lines = server.observer.lines();
    return std::ranges::count(lines, line) == 1;
  });
}

} // namespace

TEST_CASE("a handler that takes the connection over speaks for itself", "[tunnel]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(std::string{upgrade} + "behind the head"));
  auto head = client.receive();
  CHECK(head.status == 101);
  CHECK(head.fields.size() == 1); // nothing of ours
  CHECK(head.fields["upgrade"] == "echo");
  CHECK(client.receive_bytes(15) == "behind the head");
  REQUIRE(client.send("GET /tiny HTTP/1.1\r\n\r\n")); // bytes like any others
  CHECK(client.receive_bytes(22) == "GET /tiny HTTP/1.1\r\n\r\n");
  CHECK(server.observer.lines().empty()); // it is not over
  client.shutdown_write();
  bool reset = true;
  CHECK(client.receive_all(&reset).empty());
  CHECK_FALSE(reset);
  CHECK(reported(server, "GET /tunnel 101"));
}

TEST_CASE("a connection that was taken over has no deadline of ours", "[tunnel]") {
  auto limits = quick_limits();
  limits.idle_timeout = limits.body_timeout = limits.header_timeout = 20ms;
  engine server{limits};
  raw_client client{server.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  raw_client idle{server.port}; // one that has: when it is over, so would the other be
  CHECK(idle.receive_all().empty());
  REQUIRE(client.send("still here"));
  CHECK(client.receive_bytes(10) == "still here");
}

TEST_CASE("a client that is gone ends its tunnel", "[tunnel]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  client.reset();
  CHECK(reported(server, "GET /tunnel 101"));
  CHECK(trace().ended == 1);
}

TEST_CASE("a server that drains waits its grace for tunnels, then resets them", "[tunnel]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  SECTION("one that ends in time ends properly") {
    std::thread ends{[&] { client.shutdown_write(); }};
    CHECK(server.stop(20s) == 0);
    ends.join();
    bool reset = true;
    client.receive_all(&reset);
    CHECK_FALSE(reset);
  }
  SECTION("one that does not is reset") {
    CHECK(server.stop(1ms) == 0);
    bool reset = false;
    client.receive_all(&reset);
    CHECK(reset);
  }
  CHECK(trace().ended == 1);
  CHECK(reported(server, "GET /tunnel 101"));
}

TEST_CASE("a sandbox that ends takes the tunnels from its inside along", "[tunnel]") {
  engine server;
  auto door = server.open_door(principal{tenant_id{"acme"}, sandbox_id{"46da12d345fb7c0146da12d3"}});
  raw_client client{door.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  door.owner.reset();
  bool reset = false;
  client.receive_all(&reset);
  CHECK(reset);
  CHECK(eventually([] { return trace().ended == 1; }));
}

TEST_CASE("a WebSocket runs on a connection that was taken over", "[tunnel]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send("GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
  auto head = client.receive();
  CHECK(head.status == 101);
  CHECK(head.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455, section 1.3
  REQUIRE(client.send({"\x81\x85\0\0\0\0hello", 11}));                          // a text, masked with zeros
  CHECK(client.receive_bytes(7) == std::string_view{"\x81\x05hello"});
  SECTION("the client closes") {
    REQUIRE(client.send({"\x88\x80\0\0\0\0", 6}));
    CHECK(client.receive_bytes(4) == "\x88\x02\x03\xe8"); // with the code 1000: all is well
    client.shutdown_write();
    CHECK(reported(server, "GET /websocket 101"));
  }
  SECTION("the server stops") {
    CHECK(server.stop(1ms) == 0);
    bool reset = false;
    client.receive_all(&reset);
    CHECK(reset);
  }
}
