// What becomes of an application's answer on its way to the client.

#include "http/client/answer.hpp"
#include "http/ingress/passed_head.hpp"
#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace sandy;
using namespace sandy::http::ingress;
using namespace sandy::tests;

TEST_CASE("an answer is passed on as the application gave it", "[ingress]") {
  scripted_application app{scripted_application::always(
      "HTTP/1.1 418 Tea, not coffee\r\nContent-Type: text/x-tea\r\nLocation: /elsewhere?a=b\r\nETag: "
      "\"1\"\r\n"
      "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: kettle\r\n"
      "Connection: X-Secret\r\nX-Secret: hop\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello")};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(ingress_engine::get("/", "Origin: http://a\r\n")));
  auto text = client.receive_some();
  CHECK(text ==
        "HTTP/1.1 418 Tea, not coffee\r\nContent-Type: text/x-tea\r\nLocation: /elsewhere?a=b\r\nETag: "
        "\"1\"\r\n"
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: kettle\r\n"
        "Content-Length: 5\r\n\r\nhello"); // in one piece, and nothing of ours
  CHECK(eventually([&] {
    auto lines = engine.edge.observer.lines();
    return lines.size() == 1 && lines.front() == "GET {sandbox host} 418";
  }));
}

TEST_CASE("bodies end where the application ends them", "[ingress]") {
  struct {
    const char* answer;
    const char* body;
    bool reusable;
  } const cases[]{
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: "
       "dropped\r\n\r\n",
       "abcdefg", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", "", true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", "", true},
      {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc",
       true},
      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
  };
  for (const auto& each : cases) {
    INFO(each.answer);
    scripted_application app{scripted_application::always(each.answer)};
    ingress_engine engine{app.port};
    raw_client client{engine.edge.port};
    for (int request = 1; request <= 2; ++request) {
      REQUIRE(client.send(ingress_engine::get()));
      auto answer = client.receive();
      CHECK(answer.complete);
      CHECK(answer.body == each.body);
      CHECK_FALSE(answer.fields.contains("trailer"));
      CHECK_FALSE(answer.fields.contains("link"));
    }
    CHECK(app.accepted == (each.reusable ? 1 : 2));
  }
}

TEST_CASE("a body that ends with its connection is whole, one that breaks is cut", "[ingress]") {
  auto broken = GENERATE(false, true);
  scripted_application app{[=](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\n\r\nto the end");
    if (broken)
      link.reset();
  }};
  ingress_engine engine{app.port};
  auto answer = engine.ask(ingress_engine::get());
  CHECK(answer.status == 200);
  CHECK(answer.complete == !broken);
  if (!broken)
    CHECK(answer.body == "to the end");
  // A client that knows no chunks learns the end of a body from its connection, too.
  raw_client old{engine.edge.port};
  REQUIRE(old.send("GET / HTTP/1.0\r\nHost: " + guest_id.value + ".sandy.localhost\r\n\r\n"));
  bool reset = false;
  auto text = old.receive_all(&reset);
  CHECK(reset == broken);
  if (!broken)
    CHECK(text.ends_with("\r\n\r\nto the end"));
}

TEST_CASE("HEAD is answered with a head", "[ingress]") {
  std::string length = GENERATE("Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n", "");
  scripted_application app{scripted_application::always("HTTP/1.1 200 OK\r\nX-A: b\r\n" + length + "\r\n")};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  for (int request = 0; request < 2; ++request) {
    REQUIRE(client.send("HEAD / HTTP/1.1\r\nHost: " + guest_id.value + ".sandy.localhost\r\n\r\n"));
    auto answer = client.receive(true);
    CHECK(answer.status == 200);
    CHECK(answer.fields["x-a"] == "b");
    CHECK(answer.fields.contains("content-length") == length.starts_with("C"));
  }
  CHECK(app.accepted == 1);
}

TEST_CASE("what a browser takes for a whole origin stays out of answers below the API's paths", "[ingress]") {
  http::client::upstream_answer answer;
  const std::string fields =
      "Set-Cookie: a=b\r\nclear-site-data: \"*\"\r\nNEL: {}\r\nReport-To: {}\r\n"
      "Reporting-Endpoints: a\r\nStrict-Transport-Security: max-age=1\r\nAlt-Svc: h3\r\n"
      "X-Own: 1\r\n\r\n";
  std::string here, below;
  SECTION("answers, which are no pages of the API's origin besides") {
    http::client::answer_parser parser{answer, false};
    REQUIRE(parser.take_head("HTTP/1.1 200 OK\r\nDate: x\r\n" + fields));
    append_answer_fields(here, answer, "now", false);
    append_answer_fields(below, answer, "now", true);
    CHECK(below == "Date: x\r\nX-Own: 1\r\nContent-Security-Policy: " + std::string{page_policy} + "\r\n");
  }
  SECTION("an agreement to speak something else") {
    http::client::answer_parser parser{answer, false};
    REQUIRE(parser.take_head("HTTP/1.1 101 Sure\r\nUpgrade: x\r\nConnection: upgrade\r\n" + fields));
    append_switching_head(here, answer, false);
    append_switching_head(below, answer, true);
    CHECK(below ==
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Own: 1\r\n\r\n");
  }
  CHECK(here.find(fields.substr(0, fields.size() - 2)) != std::string::npos); // a host of its own has it all
}

TEST_CASE("an answer that is not valid HTTP is 502", "[ingress]") {
  std::string huge = "HTTP/1.1 200 OK\r\nX-A: " + std::string(70'000, 'a') + "\r\n\r\n";
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i)
    many += "X: y\r\n";
  std::string naming = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: a";
  for (int i = 0; i < 16; ++i)
    naming += ",x" + std::to_string(i);
  naming += "\r\n\r\n";
  for (std::string_view answer : std::initializer_list<std::string_view>{
           "nonsense\r\n\r\n",
           "HTTP/1.1 200\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\na",
           "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX-A: b\r\n\tfolded\r\n\r\n",
           "HTTP/1.1 200 OK\nX-A: b\n\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX-A: b\nX-B: c\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX A: b\r\n\r\n",
           "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
           std::string_view{"HTTP/1.1 200 OK\r\nX-A: b\0c\r\n\r\n", 29},
           "HTTP/2 200 OK\r\n\r\n",
           "HTTP/1.1 99 OK\r\n\r\n",
           "HTTP/1.1 999 OK\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX-A",
           "",
           huge,
           naming,
           many}) {
    INFO(answer.substr(0, 100));
    scripted_application app{[=](application_link& link) {
      link.head();
      link.send(answer);
    }};
    ingress_engine engine{app.port};
    auto seen = engine.ask(ingress_engine::get());
    CHECK(seen.status == 502);
    CHECK(seen.body.find("{\"detail\":\"Upstream error: ") == 0);
  }
}

TEST_CASE("an answer that breaks in its body is cut", "[ingress]") {
  std::string answer =
      GENERATE("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n");
  scripted_application app{[=](application_link& link) {
    link.head();
    link.send(answer);
  }};
  ingress_engine engine{app.port};
  auto seen = engine.ask(ingress_engine::get());
  CHECK(seen.status == 200);
  CHECK_FALSE(seen.complete);
}

TEST_CASE("bytes behind an answer are nobody's", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
              "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    if (!link.head().empty())
      link.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
  }};
  ingress_engine engine{app.port};
  for (int request = 0; request < 3; ++request)
    CHECK(engine.ask(ingress_engine::get()).body == "first");
  CHECK(app.accepted == 3);
}

TEST_CASE("a connection that idled to its death costs a request without a body nothing", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    link.head(); // the next request is not answered
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  for (int request = 1; request <= 4; ++request) {
    REQUIRE(client.send(ingress_engine::get()));
    CHECK(client.receive().body == "ok");
  }
  CHECK(app.accepted == 4);
}

TEST_CASE("events are passed on as they come", "[ingress]") {
  std::atomic<bool> read{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
      eventually([&] { return read.exchange(false); });
      link.send("9\r\ndata: x\n\n\r\n");
    }
    link.send("0\r\n\r\n");
  }};
  ingress_engine engine{app.port};
  raw_client client{engine.edge.port};
  REQUIRE(client.send(ingress_engine::get()));
  auto text = client.receive_some(); // the head alone
  CHECK(text.ends_with("Transfer-Encoding: chunked\r\n\r\n"));
  for (int i = 0; i < 3; ++i) {
    read = true;
    CHECK(client.receive_some().starts_with("9\r\ndata: x\n\n"));
  }
}

TEST_CASE("a large body arrives whole, and a slow client slows its application", "[ingress]") {
  constexpr std::size_t total = 64 << 20;
  std::atomic<std::size_t> taken{0};
  scripted_application app{[&](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n");
    std::string piece(65536, 'x');
    for (std::size_t sent = 0; sent < total; sent += piece.size()) {
      piece[0] = static_cast<char>('a' + sent / piece.size() % 26);
      if (!link.send(piece))
        return;
      taken = sent;
    }
  }};
  auto limits = quick_limits();
  limits.write_timeout = 20s;
  ingress_engine engine{app.port, {}, {}, limits};
  raw_client client{engine.edge.port, 65536};
  REQUIRE(client.send(ingress_engine::get()));
  CHECK(eventually([&] { return taken > 0; }));
  // The kernel's buffers on the way take some; the server takes next to nothing.
  std::size_t before = 1;
  CHECK(eventually([&] {
    std::this_thread::sleep_for(50ms);
    return std::exchange(before, taken.load()) == taken;
  }));
  CHECK(taken < total / 2);
  auto answer = client.receive();
  CHECK(answer.complete);
  REQUIRE(answer.body.size() == total);
  auto right = true;
  for (std::size_t at = 0; at < total; at += 65536)
    right = right && answer.body[at] == static_cast<char>('a' + at / 65536 % 26);
  CHECK(right);
}

TEST_CASE("a client that is gone ends its request inside", "[ingress]") {
  auto begun = GENERATE(true, false);
  std::atomic<bool> asked{false}, ended{false};
  scripted_application app{[&](application_link& link) {
    link.head();
    if (begun)
      link.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    asked = true;
    link.head(); // returns at the end of the connection
    ended = true;
  }};
  ingress_engine engine{app.port};
  {
    raw_client client{engine.edge.port};
    REQUIRE(client.send(ingress_engine::get()));
    REQUIRE(eventually([&] { return asked.load(); }));
    client.reset();
  }
  CHECK(eventually([&] { return ended.load(); }));
}

TEST_CASE("an application that is silent too long is 504", "[ingress]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.head();
  }};
  auto limits = quick_limits();
  limits.upstream_timeout = 20ms;
  ingress_engine engine{app.port, {}, {}, limits};
  CHECK(engine.ask(ingress_engine::get()).status == 504);
}

TEST_CASE("the reader of answers takes any bytes", "[ingress]") {
  using http::client::answer_parser;
  using http::client::upstream_answer;
  std::mt19937 random{11};
  const std::string parts[]{"HTTP/1.1 200 OK\r\n",
                            "Content-Length: ",
                            "5\r\n",
                            "Transfer-Encoding: chunked\r\n",
                            "Connection: close\r\n",
                            "X: y\r\n",
                            "\r\n",
                            "5\r\nhello\r\n",
                            "0\r\n\r\n",
                            "ffffffffffffffff\r\n",
                            "\n",
                            "\xff",
                            std::string(1, '\0'),
                            ":"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random() % 8 == 0 ? "" : parts[0];
    for (auto count = random() % 8; count > 0; --count)
      text += parts[random() % std::size(parts)];
    text += "\r\n\r\n";
    http::client::upstream_answer answer;
    http::client::answer_parser parser{answer, random() % 4 == 0};
    auto size = http::client::head_size(text);
    if (!parser.take_head(std::string_view{text}.substr(0, size)))
      continue;
    CHECK((answer.status >= 100 && answer.status <= 599));
    CHECK_FALSE((answer.chunked && answer.length));
    std::string body;
    if (answer.chunked && !parser.is_done()) {
      auto used = parser.take_chunks(std::string_view{text}.substr(size), body);
      CHECK((!used || *used <= text.size() - size));
    }
  }
}
