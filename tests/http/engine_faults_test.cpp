#include "http/engine_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <future>

using namespace sandy;
using namespace sandy::tests;

namespace {

const std::string tiny_request = "GET /tiny HTTP/1.1\r\nHost: h\r\n\r\n";

std::string get(std::string_view target) {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

nlohmann::json json_of(const response& answer) { return nlohmann::json::parse(answer.body); }

} // namespace

TEST_CASE("malformed requests get a clear answer and a closed connection", "[http]") {
  engine server;
  const std::string head = "GET /tiny HTTP/1.1\r\nHost: h\r\n";
  const std::string upload = "POST /echo HTTP/1.1\r\nHost: h\r\n";
  struct row {
    std::string request;
    unsigned status;
  };
  // clang-format off
  const std::vector<row> rows{
    {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03", 0}, // a TLS client
    {"nonsense\r\n\r\n", 400},
    {"GET\r\n\r\n", 400},
    {"GET /tiny\r\n\r\n", 400},
    {"GET  /tiny HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /tiny  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {" GET /tiny HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GE\x01T /tiny HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /tiny HTTP/2.0\r\nHost: h\r\n\r\n", 400},
    {"GET /tiny HTTP/1.9\r\nHost: h\r\n\r\n", 400},
    {"GET /tiny HTTP/0.9\r\n\r\n", 400},
    {"GET /tiny http/1.1\r\nHost: h\r\n\r\n", 400},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"GET /tiny HTTP/1.1\r\n\r\n", 400},                            // no host
    {head + "Host: other\r\n\r\n", 400},                            // two hosts
    {head + "No colon\r\n\r\n", 400},
    {head + "Space : v\r\n\r\n", 400},
    {head + ": empty name\r\n\r\n", 400},
    {head + "Na\xc3\xa4me: v\r\n\r\n", 400},
    {head + "Null: a" + std::string(1, '\0') + "b\r\n\r\n", 400},
    {head + "Control: a\x01" "b\r\n\r\n", 400},
    {head + "Bare: a\rb\r\n\r\n", 400},
    {upload + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
    {upload + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody", 400},
    {upload + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody", 400},
    {upload + "Content-Length: 4, 4\r\n\r\nbody", 400},
    {upload + "Content-Length: +4\r\n\r\nbody", 400},
    {upload + "Content-Length: -1\r\n\r\nbody", 400},
    {upload + "Content-Length: 0x4\r\n\r\nbody", 400},
    {upload + "Content-Length: four\r\n\r\nbody", 400},
    {upload + "Content-Length:\r\n\r\nbody", 400},
    {upload + "Content-Length: 99999999999999999999999\r\n\r\nbody", 400},
    {upload + "Transfer-Encoding: gzip\r\n\r\nbody", 400},
    {upload + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
    {upload + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {upload + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(20'000, 'e'), 400},
  };
  // clang-format on
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(i, rows[i].request.substr(0, 100));
    raw_client client{server.port};
    client.send(rows[i].request);
    client.shutdown_write();
    auto text = client.receive_all();
    if (rows[i].status == 0) {
      CHECK((text.empty() || text.starts_with("HTTP/1.1 4")));
      continue;
    }
    CHECK(text.starts_with("HTTP/1.1 " + std::to_string(rows[i].status) + " "));
    CHECK(text.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(text.find(R"("code":"invalid_argument")") != std::string::npos);
    CHECK(text.find("HTTP/1.1", 8) == std::string::npos); // nothing behind it was taken for a request
  }
  for (auto target :
       {"tiny", "*", "/%", "/%zz", "/a%00b", "/tiny?path=%00", "/a%0d%0ab", "/%ff", "http://", "host:80"}) {
    CAPTURE(target);
    raw_client client{server.port};
    REQUIRE(client.send(get(target) + tiny_request));
    CHECK(client.receive().status == 400);
    CHECK(client.receive().status == 200); // its framing was right: the next request is one
  }
  raw_client client{server.port};
  REQUIRE(client.send("\r\n\r\n" + tiny_request));
  CHECK(client.receive().status == 200);
}

TEST_CASE("a head over its limit is refused, however it comes", "[http]") {
  auto limits = quick_limits();
  limits.header_timeout = 10s;
  engine server{limits};
  const std::string filler = "X-Filler: " + std::string(1000, 'f') + "\r\n";
  auto refused = [](raw_client& client) {
    auto answer = client.receive();
    CHECK(answer.status == 431);
    CHECK(json_of(answer)["error"]["code"] == "header_too_large");
  };
  SECTION("at once") {
    raw_client client{server.port};
    std::string request = "GET /tiny HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 70; ++i)
      request += filler;
    client.send(request + "\r\n");
    refused(client);
  }
  SECTION("in one field") {
    raw_client client{server.port};
    client.send("GET /tiny HTTP/1.1\r\nHost: h\r\nX: " + std::string(70'000, 'f'));
    refused(client);
  }
  SECTION("in many small pieces") {
    raw_client client{server.port};
    client.send("GET /tiny HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 70 && client.send(filler); ++i)
      std::this_thread::yield();
    refused(client);
  }
  SECTION("in too many fields") {
    raw_client client{server.port};
    std::string request = "GET /tiny HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 300; ++i)
      request += "a:b\r\n";
    client.send(request + "\r\n");
    refused(client);
  }
  SECTION("the target alone") {
    raw_client client{server.port};
    client.send("GET /" + std::string(70'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
    refused(client);
  }
  SECTION("just below it is fine, byte by byte") {
    raw_client client{server.port};
    std::string request = "GET /tiny HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 60; ++i)
      request += filler;
    request += "\r\n";
    for (std::size_t i = 0; i < request.size(); i += 997)
      REQUIRE(client.send(std::string_view{request}.substr(i, 997)));
    CHECK(client.receive().status == 200);
  }
}

TEST_CASE("a client that dribbles its head is told and closed", "[http]") {
  engine server;
  raw_client client{server.port};
  auto begin = std::chrono::steady_clock::now();
  std::thread dribble{[&] {
    for (auto c : std::string{"GET /tiny HTTP/1.1\r\nHost: h\r\nX-Slow: " + std::string(500, 's')}) {
      if (!client.send({&c, 1}))
        return;
      std::this_thread::sleep_for(10ms);
      if (std::chrono::steady_clock::now() - begin > 2s)
        return;
    }
  }};
  auto answer = client.receive();
  CHECK(answer.status == 408);
  CHECK(json_of(answer)["error"]["code"] == "client_timeout");
  CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
  dribble.join();
  CHECK(eventually([&] { return server.observer.closed == 1; }));
}

TEST_CASE("silence ends a connection: in a body with an answer, between requests without", "[http]") {
  auto limits = quick_limits();
  limits.idle_timeout = 100ms;
  engine server{limits};
  raw_client body{server.port};
  REQUIRE(body.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf"));
  CHECK(body.receive().status == 408);
  raw_client chunked{server.port};
  REQUIRE(chunked.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"));
  CHECK(chunked.receive().status == 408);
  raw_client idle{server.port};
  REQUIRE(idle.send(tiny_request));
  CHECK(idle.receive().status == 200);
  CHECK(idle.receive_all().empty());
  raw_client mute{server.port};
  CHECK(mute.receive_all().empty());
}

TEST_CASE("a client that shut its write side still gets its answers", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(get("/wait") + tiny_request));
  client.shutdown_write();
  REQUIRE(eventually([] { return trace().entered == 1; }));
  trace().release = true;
  CHECK(json_of(client.receive())["waited"] == true);
  CHECK(client.receive().status == 200);
  CHECK(client.receive_all().empty());
}

TEST_CASE("a handler hears that its client hung up", "[http]") {
  engine server;
  SECTION("by closing") {
    raw_client client{server.port};
    REQUIRE(client.send(get("/hang_up")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    CHECK(trace().hang_ups == 0);
  }
  SECTION("by shutting its write side: it can still be answered") {
    raw_client client{server.port};
    REQUIRE(client.send(get("/hang_up")));
    client.shutdown_write();
    CHECK(json_of(client.receive())["hung_up"] == true);
  }
  SECTION("by a reset") {
    raw_client client{server.port};
    REQUIRE(client.send(get("/hang_up")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    client.reset();
  }
  SECTION("behind pipelined requests, which are not lost") {
    raw_client client{server.port};
    REQUIRE(client.send(get("/hang_up") + tiny_request));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    REQUIRE(client.send(tiny_request));
    CHECK(trace().hang_ups == 0);
    client.shutdown_write();
    CHECK(json_of(client.receive())["hung_up"] == true);
    CHECK(client.receive().status == 200);
    CHECK(client.receive().status == 200);
  }
  SECTION("behind more bytes than the server reads ahead") {
    raw_client client{server.port};
    std::string many = get("/hang_up");
    for (int i = 0; i < 4000; ++i)
      many += tiny_request;
    REQUIRE(client.send(many));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    client.shutdown_write();
    CHECK(json_of(client.receive())["hung_up"] == true);
    for (int i = 0; i < 4000; ++i)
      REQUIRE(client.receive().status == 200);
  }
  CHECK(eventually([] { return trace().hang_ups == 1; }));
  CHECK(eventually([] { return trace().ended == 1; }));
}

TEST_CASE("waiting for a hang-up costs the client nothing when the work is done first", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(get("/either")));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  REQUIRE(client.send(tiny_request)); // read ahead by the watch, answered after
  trace().release = true;
  CHECK(json_of(client.receive())["first"] == "work");
  CHECK(client.receive().status == 200);
  trace().release = false;
  REQUIRE(client.send(get("/either")));
  REQUIRE(eventually([] { return trace().entered == 2; }));
  client.reset();
  CHECK(eventually([] { return trace().hang_ups == 1 && trace().ended == 2; }));
}

TEST_CASE("a reader that stops stops its writer, and is given up", "[http]") {
  engine server;
  raw_client stalled{server.port, 64 * 1024};
  REQUIRE(stalled.send(get("/flood")));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  raw_client other{server.port};
  REQUIRE(other.send(tiny_request));
  CHECK(other.receive().status == 200);
  REQUIRE(eventually([] { return trace().ended == 1; })); // after the write timeout
  CHECK(trace().written < 4u * 1024 * 1024);
  CHECK(eventually([&] { return server.observer.closed == 1; }));
}

TEST_CASE("a large stream arrives whole", "[http]") {
  auto limits = quick_limits();
  limits.write_timeout = 10s;
  engine server{limits};
  raw_client client{server.port};
  REQUIRE(client.send(get("/flood")));
  auto answer = client.receive();
  CHECK(answer.complete);
  CHECK(answer.body.size() == 512u * 256 * 1024);
}

TEST_CASE("connections over the limit are refused politely", "[http]") {
  auto limits = quick_limits();
  limits.connections = 2;
  engine server{limits};
  raw_client first{server.port}, second{server.port};
  for (auto* client : {&first, &second}) {
    REQUIRE(client->send(tiny_request));
    CHECK(client->receive().status == 200);
  }
  raw_client third{server.port};
  third.send(tiny_request);
  auto refused = third.receive();
  CHECK(refused.status == 503);
  CHECK(refused.fields["retry-after"] == "1");
  CHECK(refused.fields["connection"] == "close");
  REQUIRE(first.send(tiny_request));
  CHECK(first.receive().status == 200);
}

TEST_CASE("stopping lets running requests finish and closes idle connections", "[http]") {
  engine server;
  raw_client idle{server.port}, busy{server.port};
  REQUIRE(idle.send(tiny_request));
  CHECK(idle.receive().status == 200);
  REQUIRE(busy.send(get("/wait")));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  auto stopped = std::async(std::launch::async, [&] { return server.stop(10s); });
  CHECK(idle.receive_all().empty());
  CHECK(stopped.wait_for(50ms) == std::future_status::timeout);
  trace().release = true;
  auto answer = busy.receive();
  CHECK(json_of(answer)["waited"] == true);
  CHECK(answer.fields["connection"] == "close");
  busy.shutdown_write();
  CHECK(stopped.get() == 0);
  CHECK_THROWS(raw_client{server.port});
}

TEST_CASE("stopping cancels what outlives the grace", "[http]") {
  engine server;
  raw_client waiting{server.port}, watching{server.port}, flooded{server.port, 64 * 1024},
      halfway{server.port};
  REQUIRE(waiting.send(get("/wait")));
  REQUIRE(watching.send(get("/either")));
  REQUIRE(flooded.send(get("/flood")));
  REQUIRE(halfway.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf"));
  REQUIRE(eventually([] { return trace().entered == 4; }));
  CHECK(server.stop(20ms) == 0);
  CHECK(trace().ended == 4);
  CHECK(server.observer.lines().size() == 4);
  CHECK(waiting.receive_all().empty());
}

TEST_CASE("a server that is destroyed with open connections leaks nothing", "[http]") {
  raw_client* left = nullptr;
  {
    engine server;
    left = new raw_client{server.port};
    REQUIRE(left->send(get("/wait")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
  }
  CHECK(left->receive_all().empty());
  delete left;
}
