// What an application sees of a request, and who is let in.

#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <sys/socket.h>

using namespace sandy;
using namespace sandy::tests;

namespace {

const std::string host = "Host: " + guest_id.value + ".sandy.localhost\r\n";
constexpr const char* ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An application that gives back the head of every request as its answer's body.
void mirror(application_link& link) {
  for (auto head = link.head(); !head.empty(); head = link.head())
    link.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
}

/// The same for bodies: as it reads them, in chunks or of a known length.
void echo(application_link& link) {
  auto head = link.head();
  auto at = head.find("Content-Length: ");
  auto left = at == std::string::npos ? 0 : std::stoull(head.substr(at + 16));
  link.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(left) + "\r\n\r\n");
  while (left > 0) {
    auto piece = link.bytes(std::min<std::size_t>(left, 65536));
    if (piece.empty() || !link.send(piece))
      return;
    left -= piece.size();
  }
}

} // namespace

TEST_CASE("an application sees the client's request, and who asked", "[ingress]") {
  scripted_application app{mirror};
  ingress_engine engine{app.port};
  auto answer =
      engine.ask("PURGE /a%2Fb//../c?d=%00&e=ä HTTP/1.1\r\n" + host + "X-Sandy-Host: " + guest_id.value +
                 ".sandy.localhost:7330\r\n"
                 "Accept: */*\r\nCookie: a=b; sandy-access-5173=1.f; c=d\r\nAuthorization: Bearer x\r\n"
                 "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
                 "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nExpect: 100-continue\r\n\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.body == "PURGE /a%2Fb//../c?d=%00&e=ä HTTP/1.1\r\n" + host +
                           "Accept: */*\r\nCookie: a=b; c=d\r\nAuthorization: Bearer x\r\n"
                           "X-Forwarded-For: 198.51.100.1, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"
                           "X-Forwarded-Host: " +
                           guest_id.value +
                           ".sandy.localhost:7330\r\n"
                           "Forwarded: for=127.0.0.1;host=\"" +
                           guest_id.value + ".sandy.localhost:7330\";proto=https\r\n\r\n");
}

TEST_CASE("a sandbox owns every path of its host name", "[ingress]") {
  scripted_application app{mirror};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  for (std::string target : {"/", "/tiny", "/health", "/api/things/1", "/%zz", "/wait"}) {
    INFO(target);
    REQUIRE(client.send(ingress_engine::get(target)));
    CHECK(client.receive().body.starts_with("GET " + target + " HTTP/1.1\r\n"));
  }
  REQUIRE(client.send("OPTIONS * HTTP/1.1\r\n" + host + "\r\n"));
  CHECK(client.receive().body.starts_with("OPTIONS * "));
  // A browser's question is the application's to answer.
  REQUIRE(client.send("OPTIONS /x HTTP/1.1\r\n" + host +
                      "Origin: http://a\r\nAccess-Control-Request-Method: PUT\r\n\r\n"));
  CHECK(client.receive().body.starts_with("OPTIONS /x "));
  REQUIRE(client.send("GET http://other.example.com/a?b HTTP/1.1\r\n" + host + "\r\n"));
  CHECK(client.receive().body.starts_with("GET /a?b "));
  CHECK(app.accepted == 1);
  REQUIRE(client.send("GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n")); // and the API its own
  CHECK(client.receive().body == R"({"ok":true})");
  CHECK(engine.ask("CONNECT x:80 HTTP/1.1\r\n" + host + "\r\n").status == 400);
}

TEST_CASE("whoever cannot be reached is told so", "[ingress]") {
  scripted_application app{scripted_application::always(ok)};
  ingress_engine engine{app.port};
  SECTION("an unknown sandbox") {
    auto answer = engine.ask("GET / HTTP/1.1\r\nHost: " + std::string(24, 'a') + ".sandy.localhost\r\n\r\n");
    CHECK(answer.status == 404);
    CHECK(answer.body.starts_with(R"({"detail":"Sandbox not found")"));
  }
  SECTION("one that starts") {
    engine.entrance->state = runtime::entrance_state::starting;
    auto answer = engine.ask(ingress_engine::get());
    CHECK(answer.status == 503);
    CHECK(answer.fields["retry-after"] == "1");
  }
  SECTION("one that is paused") {
    engine.edge.entrances.set_state(guest_id, runtime::entrance_state::paused);
    CHECK(engine.ask(ingress_engine::get()).status == 409);
    engine.edge.entrances.set_state(guest_id, runtime::entrance_state::open);
    CHECK(engine.ask(ingress_engine::get()).status == 200);
  }
  SECTION("one that is gone") {
    CHECK(engine.ask(ingress_engine::get()).status == 200);
    engine.edge.entrances.close(guest_id);
    CHECK(engine.ask(ingress_engine::get()).status == 404);
  }
  SECTION("a port where nothing listens") {
    auto free = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ingress_engine other{1};
    auto answer = other.ask(ingress_engine::get());
    ::close(free);
    CHECK(answer.status == 502);
    CHECK(answer.body.starts_with(R"({"detail":"Upstream error: nothing listens on port 1 of the sandbox")"));
  }
}

TEST_CASE("a sandbox that ends cuts what leads into it", "[ingress]") {
  std::atomic<bool> asked{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    asked = true;
    link.head();
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(ingress_engine::get()));
  REQUIRE(eventually([&] { return asked.load(); }));
  CHECK_FALSE(engine.entrance->uses->idle_since()); // in use
  engine.edge.entrances.close(guest_id);
  CHECK(client.receive().status >= 400);
  CHECK(eventually([&] { return engine.entrance->uses->idle_since().has_value(); }));
}

TEST_CASE("an upload into a sandbox that ends fails for that reason", "[ingress]") {
  std::atomic<bool> begun{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    begun = link.bytes(3) == "3\r\n";
    link.bytes(100);
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"));
  REQUIRE(eventually([&] { return begun.load(); }));
  engine.edge.entrances.close(guest_id);
  CHECK(client.receive().status == 502);
}

TEST_CASE("bodies of requests reach the application, and its answer the client meanwhile", "[ingress]") {
  scripted_application app{echo};
  ingress_engine engine{app.port};
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}, std::size_t{8} << 20}) {
    INFO(size);
    std::string body(size, 'b');
    raw_client client{engine.edge.port};
    std::thread sender{[&] {
      client.send("POST /echo HTTP/1.1\r\n" + host + "Content-Length: " + std::to_string(size) + "\r\n\r\n");
      client.send(body);
    }};
    auto answer = client.receive();
    sender.join();
    CHECK(answer.complete);
    CHECK(answer.body == body);
  }
}

TEST_CASE("a chunked body is passed on in chunks", "[ingress]") {
  scripted_application app{[](application_link& link) {
    auto head = link.head();
    std::string body;
    while (!body.ends_with("0\r\n\r\n"))
      body += link.bytes(1);
    body = std::to_string(head.find("Transfer-Encoding: chunked\r\n") != std::string::npos) + body;
    link.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }};
  ingress_engine engine{app.port};
  auto answer = engine.ask("POST / HTTP/1.1\r\n" + host +
                           "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(answer.body == "15\r\nabcde\r\n0\r\n\r\n");
}

TEST_CASE("an Upgrade with a body is a request like any other", "[ingress]") {
  std::string seen;
  scripted_application app{[&](application_link& link) {
    seen = link.head();
    link.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    link.bytes(100);
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  std::string framing =
      GENERATE("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: 3\r\n\r\nabc");
  REQUIRE(client.send("POST / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: x\r\n" + framing));
  CHECK(client.receive().status == 502); // nobody had offered to switch
  CHECK(seen.find("Upgrade") == std::string::npos);
}

TEST_CASE("whoever claims to have been forwarded stands before whoever asks, on however many lines",
          "[ingress]") {
  scripted_application app{mirror};
  ingress_engine engine{app.port};
  auto seen = engine
                  .ask("GET / HTTP/1.1\r\n" + host +
                       "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"
                       "X-Forwarded-For: 198.51.100.7, 198.51.100.8\r\nForwarded: for=198.51.100.7\r\n\r\n")
                  .body;
  CHECK(seen.find("X-Forwarded-For: 1.2.3.4, 198.51.100.7, 198.51.100.8, 127.0.0.1\r\n") !=
        std::string::npos);
  CHECK(seen.find("\r\nForwarded: for=1.2.3.4, for=198.51.100.7, for=127.0.0.1;host=") != std::string::npos);
}

TEST_CASE("a request that names too many fields of its connection is refused", "[ingress]") {
  scripted_application app{scripted_application::always(ok)};
  ingress_engine engine{app.port};
  auto ask_naming = [&](int count) {
    std::string names = "close";
    for (int i = 1; i < count; ++i)
      names += ", x-" + std::to_string(i);
    return engine.ask(ingress_engine::get("/", "Connection: " + names + "\r\nConnection: close,, CLOSE\r\n"));
  };
  CHECK(ask_naming(16).status == 200);
  CHECK(ask_naming(17).status == 400);
}

TEST_CASE("a request that must not be done twice does not travel on a connection that may be dying",
          "[ingress]") {
  std::atomic<int> asked{0};
  scripted_application app{[&](application_link& link) {
    link.head();
    ++asked;
    link.send(ok);
    if (!link.head().empty())
      ++asked; // and leaves without an answer
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  auto ask_by = [&](const std::string& method) {
    REQUIRE(client.send(method + " / HTTP/1.1\r\n" + host + "\r\n"));
    return client.receive().status;
  };
  REQUIRE(ask_by("GET") == 200);
  SECTION("a POST has a connection of its own") {
    CHECK(ask_by("POST") == 200);
    CHECK(asked == 2);
  }
  SECTION("a GET that nobody answers is sent again") {
    CHECK(ask_by("GET") == 200);
    CHECK(asked == 3);
  }
  CHECK(app.accepted == 2);
}

TEST_CASE("a connection on which a body was not sent to its end is not used again", "[ingress]") {
  std::atomic<bool> go_on{false};
  scripted_application app{
      [&](application_link& link) { // answers as soon as it has a head, and reads no further
        link.head();
        link.send(ok);
        eventually([&] { return go_on.load(); });
      }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  std::thread sender{[&] {
    client.send("POST / HTTP/1.1\r\n" + host + "Content-Length: 4000000\r\n\r\n");
    client.send(std::string(4'000'000, 'b'));
  }};
  CHECK(client.receive().status == 200);
  sender.join();
  CHECK(engine.ask(ingress_engine::get()).status == 200);
  CHECK(app.accepted == 2);
  go_on = true;
}

TEST_CASE("visitors of one sandbox do not keep everybody else out", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.head(); // silent until it is left alone
  }};
  auto limits = quick_limits();
  limits.connections = 8 * 20;
  ingress_engine engine{app.port, {}, {}, limits};
  std::vector<std::unique_ptr<raw_client>> visitors;
  for (int i = 1; i <= 20; ++i) {
    visitors.push_back(std::make_unique<raw_client>(engine.edge.port));
    REQUIRE(visitors.back()->send(ingress_engine::get()));
    REQUIRE(eventually([&] { return app.accepted == i; }));
  }
  auto late = engine.ask(ingress_engine::get());
  CHECK(late.status == 503);
  CHECK(late.fields["retry-after"] == "1");
  CHECK(late.body.starts_with(R"({"detail":"Too many connections to this sandbox")"));
  CHECK(engine.ask("GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
  visitors.clear();
}

TEST_CASE("a client that only closed its side gets an answer that is long, and still flows", "[ingress]") {
  std::atomic<bool> gone{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.bytes(10);
    link.send("HTTP/1.1 200 OK\r\n\r\n");
    while (link.send("x"))
      std::this_thread::sleep_for(5ms); // the pace of the application, not a wait of the test
    gone = true;
  }};
  auto limits = quick_limits();
  limits.departure_grace = 400ms;
  ingress_engine engine{app.port, {}, {}, limits};
  raw_client client{engine.edge.port};
  REQUIRE(client.send("POST / HTTP/1.1\r\n" + host +
                      "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"));
  client.shutdown_write();
  auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < 3 * limits.departure_grace)
    REQUIRE_FALSE(client.receive_some().empty());
  client.reset();
  CHECK(eventually([&] { return gone.load(); }));
}

TEST_CASE("an application may answer before it has the body", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    link.bytes(100);
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send("POST / HTTP/1.1\r\n" + host + "Content-Length: 1000000\r\n\r\nbegin"));
  auto answer = client.receive();
  CHECK(answer.status == 413);
  CHECK(answer.body == "no");
}

TEST_CASE("a broken body of a request ends it", "[ingress]") {
  std::atomic<bool> ended{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.bytes(1'000'000);
    ended = true;
  }};
  ingress_engine engine{app.port};
  SECTION("malformed chunks") {
    CHECK(
        engine.ask("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n").status ==
        400);
  }
  SECTION("one that does not come") {
    CHECK(engine.ask("POST / HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\nabc").status == 408);
  }
  SECTION("a client that is gone") {
    raw_client client{engine.edge.port};
    REQUIRE(client.send("POST / HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\nabc"));
    REQUIRE(eventually([&] { return app.accepted == 1; }));
    client.reset();
  }
  CHECK(eventually([&] { return ended.load(); }));
}

TEST_CASE("ports: the runtime port and exposed ones by name, no other", "[ingress]") {
  scripted_application runtime{scripted_application::always(ok)};
  scripted_application exposed{
      scripted_application::always("HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n")};
  ingress_engine engine{runtime.port, {exposed.port}};
  auto ask_port = [&](const std::string& port) {
    return engine.ask("GET / HTTP/1.1\r\nHost: " + port + "-" + guest_id.value + ".sandy.localhost\r\n\r\n");
  };
  CHECK(ask_port(std::to_string(runtime.port)).status == 200);
  CHECK(ask_port(std::to_string(exposed.port)).status == 201);
  auto no = ask_port("1");
  CHECK(no.status == 404);
  CHECK(no.body.starts_with(R"({"detail":"Port 1 of this sandbox is not exposed")"));
  CHECK(engine
            .ask("GET / HTTP/1.1\r\nHost: " + guest_id.value +
                 ".sandy.localhost:" + std::to_string(exposed.port) + "\r\n\r\n")
            .status == 201);
}
