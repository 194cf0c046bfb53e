#include "secrets_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <future>

using namespace sandy;
using namespace sandy::http::egress;
using testing::relayed_with_secrets;
using testing::tls_end;

namespace {

const std::string host = "api.example.com";
const std::string value = "the real value";
const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

sandbox_secrets secrets_for(std::vector<std::string> hosts, bool allow_http = false) {
  auto placed = place_secrets({{"KEY", {value}, std::move(hosts), allow_http}});
  REQUIRE(placed);
  return *placed;
}

authority_keys authority_of(const std::string& name) {
  auto made = make_authority({*parse_host_pattern(name)});
  REQUIRE(made);
  return *made;
}

/// A sandbox's client and its host, and the server between them.
struct between_both {
  sandbox_secrets secrets = secrets_for({host});
  authority_keys world = authority_of(host);
  std::string mark = secrets.all.front().placeholder;
  std::unique_ptr<relayed_with_secrets> relay;
  std::unique_ptr<tls_end> client, server;

  void connect(std::uint64_t most_bytes = UINT64_MAX, const std::string& protocols = {}) {
    relay = std::make_unique<relayed_with_secrets>(secrets, world.certificate, host, true, most_bytes);
    client = tls_end::client(relay->sandbox_socket(), secrets.authority.certificate, host, protocols);
    server = tls_end::server(relay->host_socket(), world, host);
    relay->start();
    auto met = std::async(std::launch::async, [this] { return server->shake_hands(); });
    CHECK(client->shake_hands());
    CHECK(met.get());
  }
  /// Sends a request to a host with that certificate. @return what it gets
  std::future<std::string> ask_a_host_that_is(const authority_keys& keys, const std::string& name) {
    relay = std::make_unique<relayed_with_secrets>(secrets, world.certificate, host, true);
    client = tls_end::client(relay->sandbox_socket(), secrets.authority.certificate, host);
    server = tls_end::server(relay->host_socket(), keys, name);
    relay->start();
    auto got = std::async(std::launch::async, [this] {
      std::string all;
      if (server->shake_hands())
        server->read_all(all);
      server.reset();
      return all;
    });
    REQUIRE(client->shake_hands());
    REQUIRE(client->write(request("")));
    return got;
  }
  std::string request(std::string_view fields, std::string_view body = {}) const {
    return "POST / HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + mark + "\r\n" +
           std::string{fields} + "\r\n" + std::string{body};
  }
};

} // namespace

TEST_CASE_METHOD(between_both, "a host gets the secret of a sandbox that has only its placeholder",
                 "[secrets]") {
  connect(UINT64_MAX, "\x02h2\x08http/1.1");
  CHECK(client->protocol() == "http/1.1");
  CHECK(std::string{SSL_get_servername(server->handle(), TLSEXT_NAMETYPE_host_name)} == host);
  REQUIRE(client->write(request("")));
  auto got = server->read_to("\r\n\r\n");
  CHECK(got.find("Authorization: Bearer " + value + "\r\n") != std::string::npos);
  REQUIRE(server->write(answer));
  CHECK(client->read_to("ok") == answer);
  REQUIRE(client->write(request("") + request("Content-Length: 3\r\n", "abc")));
  server->read_to("\r\n\r\n");
  got = server->read_to("abc");
  CHECK(got.find(value) != std::string::npos);
  CHECK(got.find(mark) == std::string::npos);
  client->say_goodbye();
  std::string rest;
  server->read_all(rest);
  CHECK(rest.empty());
  server.reset();
  auto outcome = relay->outcome();
  CHECK(outcome.requests == 3);
  CHECK(outcome.requests_with_secrets == 3);
  CHECK_FALSE(outcome.refused);
}

TEST_CASE_METHOD(between_both, "the end of an answer is the end that the host gave it", "[secrets]") {
  connect();
  auto announced = GENERATE(true, false);
  CAPTURE(announced);
  REQUIRE(client->write(request("Connection: close\r\n")));
  server->read_to("\r\n\r\n");
  std::string large(3 << 20, 'a');
  auto sent = std::async(std::launch::async, [&] {
    auto written = server->write("HTTP/1.1 200 OK\r\n\r\n" + large);
    if (announced)
      server->say_goodbye();
    server.reset();
    return written;
  });
  std::string all;
  CHECK(client->read_all(all) == announced);
  CHECK(all.size() == large.size() + 19);
  CHECK(sent.get());
  client.reset();
  CHECK(relay->outcome().requests == 1);
}

TEST_CASE_METHOD(between_both, "a large body reaches the host whole", "[secrets]") {
  connect();
  std::string body(2 << 20, 'x');
  auto sent = std::async(std::launch::async, [&] {
    return client->write(request("Content-Length: " + std::to_string(body.size()) + "\r\n", body)) &&
           client->read_to("ok") == answer;
  });
  server->read_to("\r\n\r\n");
  std::size_t got = 0;
  std::string rest;
  while (got < body.size()) {
    rest = server->read_to(std::string_view{body}.substr(0, 4096));
    if (rest.empty())
      break;
    got += rest.size();
  }
  CHECK(got == body.size());
  CHECK(server->write(answer));
  CHECK(sent.get());
}

TEST_CASE_METHOD(between_both, "a request for another host is answered, not passed on", "[secrets]") {
  connect();
  REQUIRE(client->write("GET / HTTP/1.1\r\nHost: evil.com\r\nX: " + mark + "\r\n\r\n"));
  std::string all;
  CHECK(client->read_all(all));
  CHECK(all.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(all.find("{\"detail\":\"This connection is to api.example.com") != std::string::npos);
  client.reset();
  std::string got;
  server->read_all(got);
  CHECK(got.empty());
  auto outcome = relay->outcome();
  REQUIRE(outcome.refused);
  CHECK(*outcome.refused == errc::forbidden);
}

TEST_CASE_METHOD(between_both, "a later request for another host is answered after the answers before",
                 "[secrets]") {
  connect();
  REQUIRE(client->write(request("") + "GET / HTTP/1.1\r\nHost: evil.com\r\nX: " + mark + "\r\n\r\n"));
  auto got = server->read_to("\r\n\r\n");
  REQUIRE(server->write(answer));
  std::string more;
  server->read_all(more);
  CHECK(more.empty());
  server->say_goodbye();
  std::string all;
  CHECK(client->read_all(all));
  CHECK(all.starts_with(answer + "HTTP/1.1 403 Forbidden\r\n"));
}

TEST_CASE_METHOD(between_both, "a host whose certificate is not trusted gets nothing", "[secrets]") {
  auto stranger = authority_of(host);
  auto met = ask_a_host_that_is(stranger, host);
  std::string all;
  CHECK(client->read_all(all));
  CHECK(all.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  CHECK(all.find(value) == std::string::npos);
  CHECK(met.get().empty());
  client.reset();
  CHECK(relay->outcome().requests == 0);
}

TEST_CASE_METHOD(between_both, "a host that shows another's certificate gets nothing", "[secrets]") {
  world = authority_of("other.example.com");
  auto met = ask_a_host_that_is(world, "other.example.com");
  std::string all;
  client->read_all(all);
  CHECK(all.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  CHECK(met.get().empty());
}

TEST_CASE_METHOD(between_both, "a client that greets with another name than was judged gets nothing",
                 "[secrets]") {
  relay = std::make_unique<relayed_with_secrets>(secrets, world.certificate, host, true);
  client = tls_end::client(relay->sandbox_socket(), secrets.authority.certificate, "evil.com");
  server = tls_end::server(relay->host_socket(), world, host);
  relay->start();
  auto met = std::async(std::launch::async, [this] {
    std::string got;
    if (server->shake_hands())
      server->read_all(got);
    return got;
  });
  auto shaken = client->shake_hands() && client->write(request(""));
  std::string all;
  client->read_all(all);
  CHECK(all.empty());
  CHECK(met.get().empty());
  CHECK_FALSE(shaken); // the certificate is for the name that was judged
  CHECK(relay->outcome().requests == 0);
}

TEST_CASE_METHOD(between_both, "a client that speaks no HTTP/1.1 is refused with an alert", "[secrets]") {
  relay = std::make_unique<relayed_with_secrets>(secrets, world.certificate, host, true);
  client = tls_end::client(relay->sandbox_socket(), secrets.authority.certificate, host, "\x02h2");
  server = tls_end::server(relay->host_socket(), world, host);
  relay->start();
  auto met = std::async(std::launch::async, [this] { return server->shake_hands(); });
  CHECK_FALSE(client->shake_hands());
  met.get();
  CHECK(relay->outcome().requests == 0);
}

TEST_CASE_METHOD(between_both, "what a sandbox may send and get is bounded", "[secrets]") {
  connect(64 * 1024);
  REQUIRE(client->write(request("Content-Length: 10000000\r\n")));
  std::string body(1 << 20, 'x');
  while (client->write(body)) {
  }
  std::string got;
  server->read_all(got);
  CHECK(got.size() <= 64 * 1024 + 1024);
}

TEST_CASE_METHOD(between_both, "a connection that is cut is over", "[secrets]") {
  connect();
  REQUIRE(client->write(request("")));
  server->read_to("\r\n\r\n");
  relay->cut();
  std::string all;
  CHECK_FALSE(client->read_all(all));
  CHECK_FALSE(server->read_all(all));
  CHECK(all.empty());
  CHECK(relay->outcome().requests == 1);
}

TEST_CASE("a secret goes over plain HTTP when it says so", "[secrets]") {
  auto secrets = secrets_for({host}, true);
  relayed_with_secrets relay{secrets, authority_of(host).certificate, host, false};
  auto client = tls_end::plain(relay.sandbox_socket());
  auto server = tls_end::plain(relay.host_socket());
  auto request =
      "GET / HTTP/1.1\r\nHost: " + host + "\r\nX-Key: " + secrets.all.front().placeholder + "\r\n\r\n";
  relay.start(request.substr(0, 20));
  REQUIRE(client->write(request.substr(20)));
  CHECK(server->read_to("\r\n\r\n") ==
        "GET / HTTP/1.1\r\nHost: " + host + "\r\nX-Key: " + value + "\r\n\r\n");
  client->say_goodbye();
  std::string none;
  CHECK(server->read_all(none));
  REQUIRE(server->write(answer));
  server.reset();
  std::string all;
  CHECK(client->read_all(all));
  CHECK(all == answer);
}

namespace {

/// The same without TLS.
struct plainly_between {
  sandbox_secrets secrets = secrets_for({host}, true);
  std::string mark = secrets.all.front().placeholder;
  relayed_with_secrets relay{secrets, authority_of(host).certificate, host, false};
  std::unique_ptr<tls_end> client = tls_end::plain(relay.sandbox_socket());
  std::unique_ptr<tls_end> server = tls_end::plain(relay.host_socket());
  const std::string upgrade =
      "GET /ws HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const std::string foreign = "GET /2 HTTP/1.1\r\nHost: cdn.example\r\n\r\n";
};

} // namespace

TEST_CASE_METHOD(plainly_between,
                 "without TLS nothing follows the request for a WebSocket before its host agrees",
                 "[secrets]") {
  relay.start();
  REQUIRE(client->write(upgrade));
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  auto refused = GENERATE(true, false);
  CAPTURE(refused);
  if (refused) {
    REQUIRE(server->write(answer));
    CHECK(client->read_to("ok") == answer);
  }
  REQUIRE(client->write(foreign));
  std::string more;
  CHECK(server->read_all(more));
  CHECK(more.empty());
  server->say_goodbye();
  std::string last;
  client->read_all(last);
  CHECK(last.starts_with("HTTP/1.1 400"));
}

TEST_CASE_METHOD(plainly_between, "without TLS a WebSocket that its host agrees to passes as it is",
                 "[secrets]") {
  relay.start();
  REQUIRE(client->write(upgrade));
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  const std::string agreed = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
  REQUIRE(server->write(agreed.substr(0, 9)));
  REQUIRE(server->write(agreed.substr(9)));
  CHECK(client->read_to("\r\n\r\n") == agreed);
  REQUIRE(client->write(foreign + mark + "end"));
  CHECK(server->read_to("end") == foreign + mark + "end");
}

TEST_CASE("what counts is what a host gets, not what became of it", "[secrets]") {
  const std::string large(16384, 'v');
  auto placed = place_secrets({{"KEY", {large}, {host}, true}});
  REQUIRE(placed);
  constexpr std::size_t most = 512 * 1024;
  relayed_with_secrets relay{*placed, authority_of(host).certificate, host, false, most};
  auto client = tls_end::plain(relay.sandbox_socket());
  auto server = tls_end::plain(relay.host_socket());
  auto head = "GET / HTTP/1.1\r\nHost: " + host + "\r\nX: ";
  for (int i = 0; i < 15; ++i)
    head += placed->all.front().placeholder;
  std::string many;
  for (int i = 0; i < 20; ++i)
    many += head + "\r\n\r\n";
  relay.start(many); // 15 KB, which become 5 MB
  std::string got;
  server->read_all(got);
  CHECK(got.size() <= most);
}

TEST_CASE("only connections that a secret names are intercepted", "[secrets]") {
  auto placed = place_secrets({{"A", {"a"}, {"api.example.com", "*.example.org:8443"}, false},
                               {"B", {"b"}, {"b.example.com"}, true}});
  REQUIRE(placed);
  CHECK(placed->all[0].placeholder != placed->all[1].placeholder);
  auto made = interception::make(*placed);
  REQUIRE(made);
  auto& it = **made;
  CHECK(it.wants("api.example.com", 443, true));
  CHECK_FALSE(it.wants("api.example.com", 80, false));
  CHECK_FALSE(it.wants("api.example.com", 8443, true));
  CHECK(it.wants("x.example.org", 8443, true));
  CHECK_FALSE(it.wants("x.example.org", 443, true));
  CHECK(it.wants("b.example.com", 80, false));
  CHECK(it.wants("b.example.com", 443, true));
  CHECK_FALSE(it.wants("c.example.com", 443, true));
  CHECK_FALSE(it.wants("a,DNS:evil.com.example.org", 8443, true));
  auto mark = placed->all[1].placeholder;
  CHECK(it.secrets_for("b.example.com", 443, true).applied_to("X", mark) == "b");
  CHECK_FALSE(it.secrets_for("api.example.com", 443, true).applied_to("X", mark));
}

TEST_CASE("no certificate is made for what no secret names", "[secrets]") {
  auto placed = place_secrets({{"A", {"a"}, {"api.example.com", "*.example.org"}, false}});
  REQUIRE(placed);
  auto made = interception::make(*placed);
  REQUIRE(made);
  auto& it = **made;
  auto known = it.certificate_for("api.example.com");
  REQUIRE(known);
  CHECK(*it.certificate_for("api.example.com") == *known);
  CHECK(it.certificate_for("a.b.example.org"));
  for (auto other : {"evil.com", "example.org", "x.api.example.com", "API.EXAMPLE.COM", "",
                     "x,DNS:evil.com.example.org", "*.example.org", "1.2.3.4"}) {
    CAPTURE(other);
    CHECK_FALSE(it.certificate_for(other));
  }
  // As many names as one likes: memory is bounded, and each is served.
  for (int i = 0; i < 600; ++i)
    REQUIRE(it.certificate_for("n" + std::to_string(i) + ".example.org"));
}

TEST_CASE("an authority vouches for nobody but the hosts of its secrets", "[secrets]") {
  auto authority = authority_of("api.example.com");
  auto signs = certificate_authority::from(authority);
  REQUIRE(signs);
  auto trusted = [&](const std::string& name) {
    testing::tcp_pair pair;
    auto server = tls_end::server(pair.ours, authority, name); // whoever has its key can make that
    auto client = tls_end::client(pair.theirs, authority.certificate, name);
    auto met = std::async(std::launch::async, [&] { return server->shake_hands(); });
    auto good = client->shake_hands();
    client->say_goodbye();
    met.get();
    return good;
  };
  CHECK(trusted("api.example.com"));
  CHECK_FALSE(trusted("example.com"));
  CHECK_FALSE(trusted("api.example.net"));
}

TEST_CASE("an authority comes back from its store, and damage is noticed", "[secrets]") {
  auto placed = place_secrets({{"A", {"a"}, {"api.example.com"}, false}});
  REQUIRE(placed);
  CHECK(interception::make(*placed));
  auto other = authority_of("api.example.com");
  auto damaged = *placed;
  damaged.authority.key = other.key;
  CHECK_FALSE(interception::make(damaged));
  damaged = *placed;
  damaged.authority.certificate.resize(100);
  CHECK_FALSE(interception::make(damaged));
  CHECK_FALSE(place_secrets({{"A", {"a"}, {"1.2.3.4"}, false}}));
}

TEST_CASE("authorities of a file that is none are refused", "[secrets]") {
  CHECK(tls_sides::make(""));
  auto refused = tls_sides::make("/nonexistent/authorities.pem");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::invalid_argument);
}
