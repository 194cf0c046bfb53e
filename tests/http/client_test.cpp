// What the HTTP client makes of servers, good and bad.

#include "http/client/call.hpp"
#include "http/client/name_lookup.hpp"
#include "http/client/trust.hpp"
#include "http/client_support.hpp"
#include "http/ingress_support.hpp"
#include "http/timed.hpp"

#include <catch2/catch.hpp>

#include <boost/asio/ip/address.hpp>

#include <atomic>
#include <future>
#include <random>

using namespace sandy;
using namespace sandy::http::client;
using namespace sandy::tests;

namespace {

address local(std::uint16_t port) { return {"127.0.0.1", port, false, nullptr}; }

patience quick() {
  patience made;
  made.connect = 5s;
  made.first_byte = made.between = made.stall = 5s;
  return made;
}

struct answered {
  unsigned status = 0;
  std::string type;
  std::string body;
};

io_task<result<answered>> fetch(http::shard& home, address to, patience limits, std::string body = {}) {
  call asking{home, std::move(to), limits};
  request what{"POST", "/v1/things?a=b", "X-Mine: yes\r\n", true};
  auto asked = co_await asking.ask(what, body);
  if (!asked)
    co_return std::move(asked.error());
  answered made{asking.answer().status, std::string{asking.answer().field("Content-Type")}, {}};
  auto text = co_await asking.read_all(1024 * 1024);
  if (!text)
    co_return std::move(text.error());
  made.body = std::move(*text);
  co_return made;
}

} // namespace

TEST_CASE("a request arrives as it was made, and its answer in every framing", "[client]") {
  struct {
    const char* answer;
    int connections; // for two requests
  } cases[]{
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello", 1},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
       "a/b\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
       1},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello",
       1},
      {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 2},
      {"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello", 2}};
  for (const auto& each : cases) {
    INFO(each.answer);
    std::string heads[2], bodies[2];
    std::atomic<int> seen{0};
    scripted_application app{[&](application_link& link) {
      for (auto head = link.head(); !head.empty(); head = link.head()) {
        auto at = static_cast<std::size_t>(seen++);
        if (at > 1)
          return;
        heads[at] = head;
        bodies[at] = link.bytes(7);
        if (!link.send(each.answer) || std::string_view{each.answer}.find("1.0 2") < 8)
          return;
      }
    }};
    client_shard world;
    for (int i = 0; i < 2; ++i) {
      auto got = world.run(fetch(world.home(), local(app.port), quick(), "content"));
      REQUIRE(got);
      CHECK(got->status == 200);
      CHECK(got->type == "a/b");
      CHECK(got->body == "hello");
      CHECK(heads[i] == "POST /v1/things?a=b HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(app.port) +
                            "\r\nX-Mine: yes\r\nContent-Length: 7\r\n\r\n");
      CHECK(bodies[i] == "content");
    }
    CHECK(app.accepted == each.connections);
  }
}

TEST_CASE("a name that nobody knows quickly delays nobody else", "[client]") {
  std::promise<void> answered;
  auto over = answered.get_future().share();
  name_lookup names{[over](const std::string& name) -> sandy::result<name_lookup::addresses> {
    if (name.starts_with("slow"))
      over.wait();
    if (name == "nobody")
      return fail(errc::upstream_error, "no such host");
    return name_lookup::addresses{boost::asio::ip::make_address("192.0.2.1")};
  }};
  client_shard world;
  auto impatient = [&](std::string name) -> io_task<bool> {
    http::io_timer timer{world.home().io_context.get_executor(), std::chrono::milliseconds{20}};
    auto found = co_await http::within(timer, names.find(std::move(name)));
    co_return found.has_value();
  };
  const auto begun = std::chrono::steady_clock::now();
  CHECK_FALSE(world.run(impatient("slow")));
  CHECK(world.run(names.find("quick"))->size() == 1);
  CHECK(code_of(world.run(names.find("nobody")).error()) == errc::upstream_error);
  for (std::size_t i = 1; i < name_lookup::most_at_once; ++i)
    CHECK_FALSE(world.run(impatient("slow" + std::to_string(i))));
  CHECK_FALSE(world.run(impatient("slow"))); // no second look-up of the same
  CHECK(code_of(world.run(names.find("one more")).error()) == errc::upstream_error);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  answered.set_value();
  CHECK(world.run(names.find("slow"))->size() == 1);
}

TEST_CASE("what a name means is kept for a while, and that nobody knows it is not", "[client]") {
  auto looks = std::make_shared<std::atomic<int>>(0);
  name_lookup names{[looks](const std::string& name) -> sandy::result<name_lookup::addresses> {
    ++*looks;
    if (name == "nobody")
      return fail(errc::upstream_error, "no such host");
    return name_lookup::addresses{boost::asio::ip::make_address("192.0.2.1")};
  }};
  client_shard world;
  for (int i = 0; i < 3; ++i) {
    CHECK(world.run(names.find("host")));
    CHECK_FALSE(world.run(names.find("nobody")));
  }
  CHECK(*looks == 4);
}

TEST_CASE("names are the machine's", "[client]") {
  client_shard world;
  auto found = world.run(name_lookup{}.find("localhost"));
  REQUIRE(found);
  REQUIRE_FALSE(found->empty());
  CHECK(found->front().is_loopback());
  CHECK(code_of(world.run(name_lookup{}.find("no-such-host.invalid")).error()) == errc::upstream_error);
}

TEST_CASE("a body that ends with its connection is read to its end", "[client]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\n\r\nhel");
    link.send("lo");
  }};
  client_shard world;
  auto got = world.run(fetch(world.home(), local(app.port), quick()));
  REQUIRE(got);
  CHECK(got->body == "hello");
}

TEST_CASE("what breaks is an error, and says so", "[client]") {
  struct {
    const char* answer;
    const char* text;
  } cases[]{{"", "closed the connection without an answer"},
            {"HTTP/1.1 200 OK\r\nContent-", "ended within its head"},
            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "broke off"},
            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "broke off"},
            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", "not valid HTTP"},
            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "not valid HTTP"},
            {"SSH-2.0-OpenSSH\r\n\r\n", "not valid HTTP"},
            {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "not valid HTTP"}};
  for (const auto& each : cases) {
    INFO(each.answer);
    scripted_application app{[&](application_link& link) {
      link.head();
      link.send(each.answer);
    }};
    client_shard world;
    auto got = world.run(fetch(world.home(), local(app.port), quick()));
    REQUIRE_FALSE(got);
    CHECK(code_of(got.error()) == errc::upstream_error);
    CHECK(text_of(got.error()).find(each.text) != std::string::npos);
  }
}

TEST_CASE("a server that says nothing, or nothing more, is given up", "[client]") {
  for (const auto* said : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}) {
    scripted_application app{[&](application_link& link) {
      link.head();
      link.send(said);
      link.head(); // until we close
    }};
    client_shard world;
    auto limits = quick();
    limits.first_byte = limits.between = 30ms;
    auto got = world.run(fetch(world.home(), local(app.port), limits));
    REQUIRE_FALSE(got);
    CHECK(code_of(got.error()) == errc::deadline_exceeded);
  }
}

TEST_CASE("the whole may take no longer than it may, however lively the server is", "[client]") {
  scripted_application app{[](application_link& link) {
    link.head();
    link.send("HTTP/1.1 200 OK\r\n\r\n");
    while (link.send("."))
      std::this_thread::sleep_for(1ms);
  }};
  client_shard world;
  auto limits = quick();
  limits.total = 60ms;
  auto got = world.run(fetch(world.home(), local(app.port), limits));
  REQUIRE_FALSE(got);
  CHECK(code_of(got.error()) == errc::deadline_exceeded);
}

TEST_CASE("a connection that died while it waited costs a request nothing", "[client]") {
  std::atomic<int> served{0};
  scripted_application app{[&](application_link& link) {
    link.head();
    ++served;
    link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    link.head(); // the next request is taken, and not answered
  }};
  client_shard world;
  for (int i = 0; i < 3; ++i) {
    auto got = world.run(fetch(world.home(), local(app.port), quick()));
    REQUIRE(got);
    CHECK(got->body == "ok");
  }
  CHECK(served == 3);
}

TEST_CASE("a body is sent in pieces as it comes", "[client]") {
  for (auto sized : {true, false}) {
    std::string seen;
    scripted_application app{[&](application_link& link) {
      seen = link.head();
      seen += link.bytes(sized ? 8 : 23);
      link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }};
    client_shard world;
    auto upload = [](http::shard& home, address to, bool known) -> io_task<result<std::string>> {
      call asking{home, std::move(to), quick()};
      auto begun = co_await asking.begin({"PUT", "/", {}, false},
                                         known ? std::optional<std::uint64_t>{8} : std::nullopt);
      if (!begun)
        co_return std::move(begun.error());
      for (std::string piece : {"four", "more"}) {
        auto sent = co_await asking.send(piece);
        if (!sent)
          co_return std::move(sent.error());
      }
      auto head = co_await asking.answer_head();
      if (!head)
        co_return std::move(head.error());
      auto all = co_await asking.read_all(100);
      co_return all;
    };
    auto got = world.run(upload(world.home(), local(app.port), sized));
    REQUIRE(got);
    CHECK(*got == "ok");
    auto body = std::string_view{seen}.substr(seen.find("\r\n\r\n") + 4);
    CHECK(body == (sized ? "fourmore" : "4\r\nfour\r\n4\r\nmore\r\n0\r\n\r\n"));
  }
}

TEST_CASE("nobody listens, nobody is known, nothing is trusted: all are errors", "[client]") {
  client_shard world;
  auto refused = world.run(fetch(world.home(), local(1), quick()));
  REQUIRE_FALSE(refused);
  CHECK(text_of(refused.error()).find("cannot be reached") != std::string::npos);

  scripted_application app{[](application_link& link) { link.send("HTTP/1.1 400 Bad\r\n\r\n"); }};
  auto secret = local(app.port);
  secret.tls = true;
  auto untold = world.run(fetch(world.home(), secret, quick()));
  REQUIRE_FALSE(untold);
  CHECK(code_of(untold.error()) == errc::feature_unavailable);
  auto trusted = trust::make({});
  REQUIRE(trusted);
  world.server().trusted = *trusted;
  auto no_tls = world.run(fetch(world.home(), secret, quick()));
  REQUIRE_FALSE(no_tls);
  CHECK(code_of(no_tls.error()) == errc::upstream_error);
}

TEST_CASE("URLs are taken apart", "[client]") {
  auto plain = parse_url("http://[::1]:8080/v1?x=y");
  REQUIRE(plain);
  CHECK(plain->to == address{"::1", 8080, false, nullptr});
  CHECK(plain->path == "/v1?x=y");
  CHECK(authority_of(plain->to) == "[::1]:8080");
  auto secure = parse_url("https://models.example");
  REQUIRE(secure);
  CHECK(secure->to == address{"models.example", 443, true, nullptr});
  CHECK(secure->path == "/");
  CHECK(authority_of(secure->to) == "models.example");
  for (const auto* bad :
       {"", "models.example", "ftp://a", "http://a:0", "http://a:70000", "http://u@a", "http://"})
    CHECK_FALSE(parse_url(bad));
}

TEST_CASE("whatever a server answers, the client ends, and takes no more than it is told to", "[client]") {
  std::mt19937 random{20260101};
  const std::string whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  client_shard world;
  auto limits = quick();
  limits.first_byte = limits.between = 200ms;
  for (int round = 0; round < 100; ++round) {
    auto text = whole;
    for (auto changes = random() % 4; changes > 0; --changes)
      text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % 3 == 0 ? random() % text.size() : text.size());
    scripted_application app{[&](application_link& link) {
      link.head();
      link.send(text);
    }};
    auto got = world.run(fetch(world.home(), local(app.port), limits));
    if (text == whole)
      CHECK(got);
    if (got)
      CHECK(got->body.size() <= text.size());
  }
}
