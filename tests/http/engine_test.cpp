#include "http/engine_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::tests;

namespace {

std::string get(std::string_view target, std::string_view fields = {}) {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: h\r\n" + std::string{fields} + "\r\n";
}

std::string post(std::string_view target, std::string_view body, std::string_view fields = {}) {
  return "POST " + std::string{target} +
         " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string{fields} + "\r\n" + std::string{body};
}

nlohmann::json json_of(const response& answer) { return nlohmann::json::parse(answer.body); }

} // namespace

TEST_CASE("a connection carries one request after another", "[http]") {
  engine server;
  raw_client client{server.port};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.send(get("/tiny")));
    auto answer = client.receive();
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"ok":true})");
    CHECK(answer.fields["server"] == "sandy");
    CHECK(answer.fields["content-type"] == "application/json");
    CHECK(answer.fields["date"].ends_with(" GMT"));
    CHECK(answer.fields["x-request-id"].size() == 32);
    CHECK_FALSE(answer.fields.contains("connection"));
  }
  CHECK(server.observer.opened == 1);
}

TEST_CASE("pipelined requests are answered in order", "[http]") {
  engine server;
  raw_client client{server.port};
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += post("/echo", "body " + std::to_string(i));
  REQUIRE(client.send(all));
  for (int i = 0; i < 50; ++i)
    CHECK(client.receive().body == "body " + std::to_string(i));
}

TEST_CASE("HTTP/1.0 closes unless it asks to keep", "[http]") {
  engine server;
  raw_client plain{server.port};
  REQUIRE(plain.send("GET /tiny HTTP/1.0\r\n\r\n"));
  auto text = plain.receive_all();
  CHECK(text.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(text.ends_with(R"({"ok":true})"));
  raw_client keeping{server.port};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(keeping.send("GET /tiny HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(keeping.receive().fields["connection"] == "keep-alive");
  }
}

TEST_CASE("an answer of unknown length to HTTP/1.0 ends with the connection", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send("GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  auto reset = false;
  auto text = client.receive_all(&reset);
  CHECK(text.ends_with("event: tick\nid: 2\ndata: {\"n\":2}\n\n"));
  CHECK(text.find("chunked") == std::string::npos);
  CHECK_FALSE(reset);
}

TEST_CASE("HEAD has the head of GET and no body", "[http]") {
  engine server;
  raw_client client{server.port};
  for (auto [target, field, value] :
       {std::array{"/tiny", "content-length", "11"}, std::array{"/sized", "content-length", "10"},
        std::array{"/events", "transfer-encoding", "chunked"}}) {
    REQUIRE(client.send("HEAD " + std::string{target} + " HTTP/1.1\r\nHost: h\r\n\r\n"));
    auto answer = client.receive(true);
    CHECK(answer.status == 200);
    CHECK(answer.fields[field] == value);
  }
  REQUIRE(client.send(get("/tiny")));
  CHECK(client.receive().body == R"({"ok":true})");
}

TEST_CASE("bodies come sized and chunked, whole and in pieces", "[http]") {
  engine server;
  raw_client client{server.port};
  const std::string large(900'000, 'b');
  REQUIRE(client.send(post("/echo", large)));
  CHECK(client.receive().body == large);
  REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (std::string_view piece :
       {"5\r\nhel", "lo\r", "\n6;ext=\"v\"\r\n world\r\n0", "\r\nTrailer: x\r\n", "\r\n"})
    REQUIRE(client.send(piece));
  CHECK(client.receive().body == "hello world");
  std::string chunks = "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n";
  for (int i = 0; i < 50; ++i)
    chunks += "10000\r\n" + std::string(65536, 'c') + "\r\n";
  REQUIRE(client.send(chunks + "0\r\n\r\n" + get("/tiny")));
  CHECK(json_of(client.receive())["bytes"] == 50 * 65536);
  CHECK(client.receive().body == R"({"ok":true})");
  REQUIRE(client.send(post("/count", large)));
  auto counted = json_of(client.receive());
  CHECK(counted["bytes"] == large.size());
  CHECK(counted["announced"] == large.size());
}

TEST_CASE("trailers change nothing", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "1\r\nx\r\n0\r\nX-Request-Id: late\r\nHost: other\r\n\r\n"));
  auto answer = client.receive();
  CHECK(answer.body == "x");
  CHECK(answer.fields["x-request-id"] != "late");
}

TEST_CASE("100 Continue is said when the body is wanted, and not before", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
  CHECK(client.receive().status == 100);
  REQUIRE(client.send("body"));
  CHECK(client.receive().body == "body");
  // Refused without the body: no "continue", and the connection cannot be used again.
  REQUIRE(client.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"));
  auto refused = client.receive();
  CHECK(refused.status == 413);
  CHECK(refused.fields["connection"] == "close");
  raw_client other{server.port};
  REQUIRE(other.send(post("/echo", "body", "Expect: the-unexpected\r\n")));
  CHECK(other.receive().status == 417);
}

TEST_CASE("an oversized body is refused without reading it", "[http]") {
  engine server;
  raw_client sized{server.port};
  REQUIRE(sized.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\nfirst bytes"));
  auto answer = sized.receive();
  CHECK(answer.status == 413);
  CHECK(json_of(answer)["error"]["code"] == "payload_too_large");
  CHECK(answer.fields["connection"] == "close");
  raw_client chunked{server.port};
  REQUIRE(chunked.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  for (int i = 0; i < 20; ++i)
    REQUIRE(chunked.send(chunk));
  CHECK(chunked.receive().status == 413);
}

TEST_CASE("a body that nobody read is discarded when small", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(post("/ignore", std::string(200'000, 'i')) + get("/tiny")));
  CHECK(client.receive().status == 200);
  CHECK(client.receive().body == R"({"ok":true})");
  REQUIRE(client.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"));
  auto answer = client.receive();
  CHECK(answer.status == 200);
  CHECK(answer.fields["connection"] == "close");
  client.shutdown_write();
  CHECK(client.receive_all().empty());
}

TEST_CASE("streams are sized, or chunked", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send(get("/sized") + get("/events") + get("/sized")));
  auto known = client.receive();
  CHECK(known.fields["content-length"] == "10");
  CHECK(known.body == "0123456789");
  auto unknown = client.receive();
  CHECK(unknown.complete);
  CHECK(unknown.fields["content-type"] == "text/event-stream; charset=utf-8");
  CHECK(unknown.body.starts_with("event: tick\nid: 0\ndata: {\"n\":0}\n\n"));
  CHECK(client.receive().body == "0123456789");
}

TEST_CASE("a stream that its handler left unfinished shows as cut", "[http]") {
  engine server;
  for (auto target : {"/cut", "/cut?sized=1", "/cut?sized=1&end=1", "/cut?throw=1", "/cut?sized=1&throw=1"}) {
    CAPTURE(target);
    raw_client client{server.port};
    REQUIRE(client.send(get(target)));
    auto answer = client.receive();
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.complete);
  }
  raw_client old{server.port};
  REQUIRE(old.send("GET /cut HTTP/1.0\r\n\r\n"));
  CHECK_FALSE(old.receive().complete); // ended by a reset
}

TEST_CASE("handlers that fail are answered for", "[http]") {
  engine server;
  raw_client client{server.port};
  for (auto target : {"/throws", "/silent"}) {
    REQUIRE(client.send(get(target)));
    auto answer = client.receive();
    CHECK(answer.status == 500);
    CHECK(json_of(answer)["error"]["code"] == "internal");
    CHECK(answer.body.find("bug") == std::string::npos);
  }
  REQUIRE(client.send(get("/twice")));
  CHECK(json_of(client.receive())["answer"] == 1);
}

TEST_CASE("errors carry what clients need to go on", "[http]") {
  engine server;
  raw_client client{server.port};
  auto ask = [&](std::string_view request) {
    REQUIRE(client.send(request));
    return client.receive();
  };
  auto unknown = ask(get("/nowhere"));
  CHECK(unknown.status == 404);
  CHECK(json_of(unknown)["detail"] == "Not Found");
  auto gone = ask(get("/fails/sandbox_not_found"));
  CHECK(gone.status == 404);
  CHECK(json_of(gone)["detail"] == "Sandbox not found");
  auto busy = ask(get("/fails/capacity_exhausted"));
  CHECK(busy.status == 503);
  CHECK(busy.fields["retry-after"] == "1");
  auto wrong = ask(post("/tiny", ""));
  CHECK(wrong.status == 405);
  CHECK(wrong.fields["allow"] == "GET, HEAD, OPTIONS");
  auto nobody = ask(get("/api/things/1"));
  CHECK(nobody.status == 401);
  CHECK(json_of(nobody)["detail"] == "Unauthorized");
  CHECK(nobody.fields["www-authenticate"] == "Bearer");
  CHECK(ask(get("/api/things/1", "Authorization: Bearer wrong\r\n")).status == 401);
}

TEST_CASE("a handler sees the request as it was meant", "[http]") {
  engine server;
  raw_client client{server.port};
  for (auto target : {"/api/things/a%2fb?q=1%2B1+x", "http://host/things/a%2fb?q=1%2B1+x"}) {
    REQUIRE(client.send(
        get(target, "authorization: bearer secret-key\r\nUser-Agent: test/1\r\nX-Request-ID: abc-1\r\n"
                    "X-Correlation-Id: cor.2\r\n")));
    auto answer = client.receive();
    REQUIRE(answer.status == 200);
    auto seen = json_of(answer);
    CHECK(seen["tenant"] == "acme");
    CHECK(seen["id"] == "a/b");
    CHECK(seen["missing"] == "");
    CHECK(seen["q"] == "1+1 x");
    CHECK(seen["agent"] == "test/1");
    CHECK(seen["request_id"] == "abc-1");
    CHECK(answer.fields["x-request-id"] == "abc-1");
    CHECK(answer.fields["x-correlation-id"] == "cor.2");
    CHECK(answer.fields["x-extra"] == "one  X-Injected: two");
    CHECK_FALSE(answer.fields.contains("x-injected"));
  }
  REQUIRE(client.send(get("/tiny", "X-Request-Id: <script>\r\nX-Correlation-ID: a\"b\r\n")));
  auto answer = client.receive();
  CHECK(answer.fields["x-request-id"].size() == 32);
  CHECK_FALSE(answer.fields.contains("x-correlation-id"));
}

TEST_CASE("browsers may ask from everywhere, without a key", "[http]") {
  engine server;
  raw_client client{server.port};
  REQUIRE(client.send("OPTIONS /api/things/1 HTTP/1.1\r\nHost: h\r\nOrigin: https://console.example\r\n"
                      "Access-Control-Request-Method: DELETE\r\n"
                      "Access-Control-Request-Headers: authorization,content-type\r\n\r\n"));
  auto preflight = client.receive();
  CHECK(preflight.status == 204);
  CHECK_FALSE(preflight.fields.contains("content-length"));
  CHECK(preflight.fields["access-control-allow-origin"] == "*");
  CHECK(preflight.fields["access-control-allow-headers"] == "authorization,content-type");
  CHECK(preflight.fields["access-control-allow-methods"].find("PATCH") != std::string::npos);
  REQUIRE(client.send(get("/api/things/1", "Origin: https://console.example\r\n")));
  auto refused = client.receive();
  CHECK(refused.status == 401);
  CHECK(refused.fields["access-control-allow-origin"] == "*"); // or the page could not read why
  REQUIRE(client.send("OPTIONS /tiny HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK(client.receive().fields["allow"] == "GET, HEAD, OPTIONS");
  CHECK(client.receive().status == 204);
}

TEST_CASE("configured origins are the only ones allowed", "[http]") {
  engine server{quick_limits(), {"https://a.example"}};
  raw_client client{server.port};
  REQUIRE(client.send(get("/tiny", "Origin: https://a.example\r\n") +
                      get("/tiny", "Origin: https://b.example\r\n")));
  auto known = client.receive();
  CHECK(known.fields["access-control-allow-origin"] == "https://a.example");
  CHECK(known.fields["vary"] == "Origin");
  CHECK_FALSE(client.receive().fields.contains("access-control-allow-origin"));
}

TEST_CASE("the observer hears of each request once, by its pattern", "[http]") {
  engine server;
  {
    raw_client client{server.port};
    REQUIRE(client.send(get("/tiny") + get("/api/things/42") + get("/nowhere") + "bad\r\n\r\n"));
    client.receive_all();
  }
  const std::vector<std::string> expected{"GET /tiny 200", "GET /api/things/{id} 401", "GET  404", "  400"};
  CHECK(eventually([&] { return server.observer.lines() == expected; }));
  CHECK(eventually([&] { return server.observer.closed == 1; }));
}
