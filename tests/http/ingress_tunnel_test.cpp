// WebSockets, and whatever else an Upgrade leads to.

#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;

namespace {

const std::string upgrade = ingress_engine::get(
    "/hot", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n");
constexpr const char* accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                                 "Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n";

/// Gives back what comes behind the request, to the end.
void echo(application_link& link) {
  link.send(accepted);
  for (auto piece = link.bytes(1); !piece.empty(); piece = link.bytes(1))
    link.send(piece);
}

} // namespace

TEST_CASE("an Upgrade that the application takes becomes a tunnel", "[ingress]") {
  std::string seen;
  scripted_application app{[&](application_link& link) {
    seen = link.head();
    echo(link);
    link.send("bye");
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(upgrade));
  auto head = client.receive();
  CHECK(head.status == 101);
  CHECK(head.fields["sec-websocket-accept"] == "a");
  CHECK(head.fields["upgrade"] == "websocket");
  CHECK(seen.find("Connection: Upgrade\r\nUpgrade: websocket\r\n") != std::string::npos);
  CHECK(seen.find("Sec-WebSocket-Key: k\r\n") != std::string::npos);
  for (auto text : {"one", "another", "GET / HTTP/1.1\r\n\r\n"}) {
    REQUIRE(client.send(text));
    CHECK(client.receive_bytes(std::string_view{text}.size()) == text);
  }
  CHECK_FALSE(engine.entrance->uses->idle_since());
  client.shutdown_write(); // the application has the last word
  bool reset = true;
  CHECK(client.receive_all(&reset) == "bye");
  CHECK_FALSE(reset);
  CHECK(eventually([&] { return engine.entrance->uses->idle_since().has_value(); }));
}

TEST_CASE("bytes around the change are not lost", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send(std::string{accepted} + "early");
    link.send(link.bytes(5));
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(upgrade + "eager"));
  CHECK(client.receive().status == 101);
  CHECK(client.receive_bytes(10) == "earlyeager");
}

TEST_CASE("an application that does not take the Upgrade answers like any other", "[ingress]") {
  scripted_application app{scripted_application::always("HTTP/1.1 426 No\r\nContent-Length: 2\r\n\r\nno")};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  for (int request = 0; request < 2; ++request) {
    REQUIRE(client.send(upgrade));
    CHECK(client.receive().body == "no");
  }
}

TEST_CASE("a tunnel ends with either side, with the sandbox and with the server", "[ingress]") {
  std::atomic<bool> ended{false};
  std::atomic<bool> leave{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.send(accepted);
    if (leave)
      link.reset();
    else
      link.bytes(1);
    ended = true;
  }};
  ingress_engine engine{app.port};
  SECTION("the application breaks") { leave = true; }
  raw_client client{engine.edge.port};
  REQUIRE(client.send(upgrade));
  bool reset = false;
  if (leave) {
    client.receive_all(&reset);
    CHECK(reset);
    return;
  }
  CHECK(client.receive().status == 101);
  SECTION("the client breaks") { client.reset(); }
  SECTION("the sandbox ends") {
    engine.edge.entrances.close(guest_id);
    client.receive_all(&reset);
    CHECK(reset);
  }
  SECTION("the server stops: properly, whoever looks at it") {
    std::thread looks{[&] {
      client.receive_all(&reset);
      client.shutdown_write();
    }};
    CHECK(engine.edge.stop(1ms) == 0);
    looks.join();
    CHECK_FALSE(reset);
  }
  CHECK(eventually([&] { return ended.load(); }));
}

TEST_CASE("a tunnel may be silent for longer than anything else", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    echo(link);
  }};
  auto limits = quick_limits();
  limits.idle_timeout = limits.header_timeout = limits.body_timeout = limits.write_timeout =
      limits.upstream_timeout = limits.control_timeout = limits.departure_grace = limits.ping_interval = 20ms;
  ingress_engine engine{app.port, {}, {}, limits};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  raw_client idle{engine.edge.port}; // one that has a deadline: when it is over, so would the other be
  CHECK(idle.receive_all().empty());
  REQUIRE(client.send("still here"));
  CHECK(client.receive_bytes(10) == "still here");
}

TEST_CASE("a server that stops lets a tunnel go on until its grace is over", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    echo(link);
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(upgrade));
  CHECK(client.receive().status == 101);
  std::thread talks{[&] {
    eventually([&] { // until the server does not listen any more
      try {
        raw_client other{engine.edge.port};
        return other.receive_some().empty() && false;
      } catch (const std::runtime_error&) {
        return true;
      }
    });
    client.send("last");
    client.shutdown_write();
  }};
  CHECK(engine.edge.stop(20s) == 0);
  talks.join();
  bool reset = true;
  CHECK(client.receive_all(&reset) == "last");
  CHECK_FALSE(reset);
}

TEST_CASE("a slow reader of a tunnel slows its writer", "[ingress]") {
  std::atomic<std::size_t> taken{0};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.send(accepted);
    const std::string piece(65536, 'x');
    while (taken < (std::size_t{256} << 20) && link.send(piece))
      taken += piece.size();
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port, 65536};
  REQUIRE(client.send(upgrade));
  std::size_t before = 1;
  CHECK(eventually([&] {
    std::this_thread::sleep_for(50ms);
    return std::exchange(before, taken.load()) == taken && taken > 0;
  }));
  CHECK(taken < (std::size_t{64} << 20));
  client.reset();
}
