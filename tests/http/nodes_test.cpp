// The listener for other nodes, and asking through it.

#include "http/client/call.hpp"
#include "http/engine_support.hpp"
#include "http/nodes/passed_on.hpp"
#include "http/nodes_support.hpp"
#include "http/websocket.hpp"

#include <catch2/catch.hpp>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <thread>

using namespace sandy;
using namespace sandy::tests;
using http::client::address;
using http::client::call;

namespace {

/// Keeps what is logged. On any thread.
class remembering_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
  std::string text() {
    std::scoped_lock lock{mutex_};
    return text_;
  }

private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    text_.append(line.payload.data(), line.payload.size()).append("\n");
  }
  void flush_() override {}
  std::string text_;
};

/// Catches warnings while it lives: longer than who writes them.
class captured_log {
public:
  captured_log()
      : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>("test", sink_);
    logger->set_level(spdlog::level::warn);
    spdlog::set_default_logger(logger);
  }
  ~captured_log() { spdlog::set_default_logger(before_); }
  std::string text() const { return sink_->text(); }

private:
  std::shared_ptr<remembering_sink> sink_ = std::make_shared<remembering_sink>();
  std::shared_ptr<spdlog::logger> before_;
};

/// What a node says of a request that it passes on.
std::string_view passed_on_line() {
  static const auto line = std::string{http::nodes::passed_on_field} + ": " +
                           http::nodes::to_field({tenant_id{"alice"}, {}, "192.0.2.7", 0, "r-1", {}, {}}) +
                           "\r\n";
  return line;
}

/// A server that is a node of a cluster, and another node that asks it.
struct two_nodes {
  explicit two_nodes(http::edge_limits limits = quick_limits())
      : server(limits) {
    server.shared().node_credentials = cluster.node("asked");
    auto bound = server.server().listen_for_nodes("127.0.0.1:0");
    REQUIRE(bound);
    port = *bound;
    asking.server().node_credentials = cluster.node("asking");
  }

  address there() const { return address::of_node("127.0.0.1", port); }

  struct answered {
    unsigned status = 0;
    std::string body;
    bool reused = false;
  };
  result<answered> ask(std::string_view method, std::string_view target, std::string_view body = {}) {
    return asking.run(fetch(asking.home(), there(), method, target, body));
  }

  /// A connection of the other node's, for whatever the test says on it.
  result<std::unique_ptr<http::connection>> connect() {
    auto& home = asking.home();
    http::connection::socket socket{home.io_context.get_executor()};
    socket.connect({boost::asio::ip::address_v4::loopback(), port});
    std::shared_ptr<http::shard> borrowed{std::shared_ptr<void>{}, &home};
    auto made = std::make_unique<http::connection>(std::move(socket), borrowed);
    auto side = http::tls_stream::client(asking.server().node_credentials->client());
    auto met = asking.run(made->greet(std::move(*side), 5s));
    if (!met)
      return std::move(met.error());
    return made;
  }
  bool send(http::connection& link, std::string_view bytes) {
    return asking.run(link.send({bytes}, 5s)) == http::io_status::ok;
  }
  std::string read(http::connection& link, std::size_t count) { return asking.run(read_bytes(link, count)); }

  node_authority cluster;
  engine server;
  client_shard asking;
  std::uint16_t port = 0;

private:
  static io_task<result<answered>> fetch(http::shard& home, address to, std::string_view method,
                                         std::string_view target, std::string_view body) {
    call one{home, std::move(to), {}};
    auto asked = co_await one.ask({method, target, passed_on_line(), true}, body);
    if (!asked)
      co_return std::move(asked.error());
    auto text = co_await one.read_all(100'000'000);
    if (!text)
      co_return std::move(text.error());
    co_return answered{one.answer().status, std::move(*text), one.reused()};
  }
};

} // namespace

TEST_CASE("another node is served, with one greeting for many requests", "[nodes]") {
  two_nodes pair;
  for (auto again : {false, true, true}) {
    auto got = pair.ask("POST", "/echo", "hello");
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == "hello");
    CHECK(got->reused == again);
  }
  CHECK(pair.server.observer.opened == 1);
  const std::string much(900'000, 'x');
  auto large = pair.ask("POST", "/echo", much);
  REQUIRE(large);
  CHECK((large->body == much));
  auto counted = pair.ask("POST", "/count", std::string(20'000'000, 'y'));
  REQUIRE(counted);
  CHECK(counted->body.find("20000000") != std::string::npos);
  auto events = pair.ask("GET", "/events");
  REQUIRE(events);
  CHECK(events->body.find("tick") != std::string::npos);
}

TEST_CASE("a connection between nodes waits longer for its next request than a client's", "[nodes]") {
  auto limits = quick_limits();
  limits.idle_timeout = 20ms;
  two_nodes pair{limits};
  REQUIRE(pair.ask("GET", "/tiny"));
  raw_client idle{pair.server.port}; // when that one is over, so would the other be
  CHECK(idle.receive_all().empty());
  auto again = pair.ask("GET", "/tiny");
  REQUIRE(again);
  CHECK(again->reused);
}

TEST_CASE("who is no node is refused, and the log says who and why", "[nodes]") {
  captured_log log;
  {
    two_nodes pair;
    SECTION("a node of another cluster") {
      node_authority elsewhere;
      pair.asking.server().node_credentials = elsewhere.node();
      auto refused = pair.ask("GET", "/tiny");
      REQUIRE_FALSE(refused);
      CHECK(code_of(refused.error()) == errc::upstream_error);
      CHECK(text_of(refused.error()).find("the node has no TLS that can be trusted") != std::string::npos);
      CHECK(eventually([&] { return log.text().find("unknown ca") != std::string::npos; }));
    }
    SECTION("somebody without a certificate") {
      auto& home = pair.asking.home();
      http::connection::socket socket{home.io_context.get_executor()};
      socket.connect({boost::asio::ip::address_v4::loopback(), pair.port});
      http::connection bare{std::move(socket), {std::shared_ptr<void>{}, &home}};
      std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> naive{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
      auto side = http::tls_stream::client(naive.get());
      REQUIRE(side);
      // As TLS 1.3 has it, the client's side is content before the server has looked at its certificate.
      REQUIRE(pair.asking.run(bare.greet(std::move(*side), 5s)));
      static_cast<void>(pair.send(bare, "GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n"));
      CHECK(pair.asking.run(read_to_end(bare)).empty());
      CHECK_FALSE(bare.ended());
      CHECK(eventually([&] { return log.text().find("did not return a certificate") != std::string::npos; }));
    }
    SECTION("plain HTTP") {
      raw_client plain{pair.port};
      REQUIRE(plain.send("GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n"));
      plain.shutdown_write();
      CHECK(plain.receive_all().find("HTTP") == std::string::npos);
      CHECK(eventually([&] { return log.text().find("http request") != std::string::npos; }));
    }
    SECTION("somebody silent") {
      raw_client silent{pair.port};
      CHECK(silent.receive_all().empty());
      CHECK(eventually([&] { return log.text().find("did not answer in time") != std::string::npos; }));
    }
    CHECK(log.text().find(R"("event":"node_refused","peer":"127.0.0.1","what":")") != std::string::npos);
    CHECK(pair.server.observer.lines().empty());
    CHECK(eventually([&] { return pair.server.server().connections() == 0; }));
  }
}

TEST_CASE("however many are refused, the log says so a few times a second", "[nodes]") {
  captured_log log;
  {
    two_nodes pair;
    for (int i = 0; i < 30; ++i) {
      raw_client plain{pair.port};
      static_cast<void>(plain.send("GET / HTTP/1.1\r\n\r\n"));
      plain.shutdown_write();
      plain.receive_all();
    }
    CHECK(eventually([&] { return pair.server.server().connections() == 0; }));
  }
  const auto text = log.text();
  auto told = 0;
  for (auto at = text.find("node_refused"); at != std::string::npos; at = text.find("node_refused", at + 1))
    ++told;
  CHECK(told >= 1);
  CHECK(told < 30);
}

TEST_CASE("nodes and clients are counted apart", "[nodes]") {
  auto limits = quick_limits();
  limits.connections = 1;
  two_nodes pair{limits};
  raw_client client{pair.server.port};
  REQUIRE(client.send("GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(client.receive().status == 200);
  raw_client one_more{pair.server.port};
  CHECK(one_more.receive().status == 503);
  std::vector<std::unique_ptr<http::connection>> many;
  for (int i = 0; i < 5; ++i) {
    auto made = pair.connect();
    REQUIRE(made);
    many.push_back(std::move(*made));
    REQUIRE(pair.send(*many.back(),
                      "GET /tiny HTTP/1.1\r\nHost: x\r\n" + std::string{passed_on_line()} + "\r\n"));
    CHECK(pair.read(*many.back(), 12) == "HTTP/1.1 200");
  }
  client.reset();
  // The nodes take no client's place.
  CHECK(eventually([&] {
    raw_client next{pair.server.port};
    return next.send("GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n") && next.receive().status == 200;
  }));
}

TEST_CASE("a server that stops ends the connections of nodes as it ends clients'", "[nodes]") {
  two_nodes pair;
  auto idle = pair.connect();
  REQUIRE(idle);
  auto busy = pair.connect();
  REQUIRE(busy);
  REQUIRE(pair.send(**busy, "GET /wait HTTP/1.1\r\nHost: x\r\n" + std::string{passed_on_line()} + "\r\n"));
  REQUIRE(eventually([] { return trace().entered == 1; }));
  std::thread release{[&] {
    pair.asking.run(read_to_end(**idle)); // ends while the other still waits
    trace().release = true;
  }};
  CHECK(pair.server.stop(20s) == 0);
  release.join();
  auto answer = pair.asking.run(read_to_end(**busy));
  CHECK(answer.find("HTTP/1.1 200 OK") == 0);
  CHECK(answer.find("Connection: close") != std::string::npos);
  CHECK((*busy)->ended());
  CHECK_THROWS(raw_client{pair.port});
}

TEST_CASE("tunnels and WebSockets run within the TLS of nodes", "[nodes]") {
  two_nodes pair;
  auto link = pair.connect();
  REQUIRE(link);
  auto& there = **link;
  SECTION("a tunnel, to its proper end") {
    REQUIRE(pair.send(there, "GET /tunnel HTTP/1.1\r\nHost: x\r\n" + std::string{passed_on_line()} +
                                 "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
                                 "behind the head"));
    const std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n";
    CHECK(pair.read(there, head.size() + 15) == head + "behind the head");
    REQUIRE(pair.send(there, "more"));
    CHECK(pair.read(there, 4) == "more");
    CHECK(pair.asking.run(there.shutdown_send(5s)) == http::io_status::ok);
    CHECK(pair.asking.run(read_to_end(there)).empty());
    CHECK(there.ended());
  }
  SECTION("a WebSocket, closed by its client") {
    auto talk = [](http::connection& raw) -> io_task<std::string> {
      http::websocket socket{raw};
      socket.set_option(
          boost::beast::websocket::stream_base::decorator{[](boost::beast::websocket::request_type& request) {
            auto line = passed_on_line();
            auto value = line.substr(line.find(' ') + 1);
            request.set(std::string{http::nodes::passed_on_field},
                        std::string{value.substr(0, value.size() - 2)});
          }});
      auto greeted = co_await socket.async_handshake("x", "/websocket", http::as_values);
      if (std::get<0>(greeted))
        co_return std::get<0>(greeted).message();
      std::string text(300'000, 'z');
      auto sent = co_await socket.async_write(boost::asio::buffer(text), http::as_values);
      if (std::get<0>(sent))
        co_return std::get<0>(sent).message();
      boost::beast::flat_buffer back;
      auto got = co_await socket.async_read(back, http::as_values);
      if (std::get<0>(got))
        co_return std::get<0>(got).message();
      auto same = std::string_view{static_cast<const char*>(back.data().data()), back.size()} == text;
      auto closed = co_await socket.async_close(boost::beast::websocket::close_code::normal, http::as_values);
      if (std::get<0>(closed))
        co_return std::get<0>(closed).message();
      co_return same ? "all of it" : "something else";
    };
    CHECK(pair.asking.run(talk(there)) == "all of it");
    CHECK(eventually([&] { return pair.server.server().connections() == 0; }));
  }
}

TEST_CASE("a server that is alone neither listens for nodes nor asks any", "[nodes]") {
  engine server;
  auto refused = server.server().listen_for_nodes("127.0.0.1:0");
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::feature_unavailable);
  two_nodes pair;
  pair.asking.server().node_credentials = nullptr;
  auto nobody = pair.ask("GET", "/tiny");
  REQUIRE_FALSE(nobody);
  CHECK(code_of(nobody.error()) == errc::feature_unavailable);
}

TEST_CASE("a node is another place than a host of the same name", "[nodes]") {
  CHECK(address::of_node("10.0.0.2", 7333) != address{"10.0.0.2", 7333, false, nullptr});
  CHECK(address::of_node("10.0.0.2", 7333) == address::of_node("10.0.0.2", 7333));
  CHECK(http::client::authority_of(address::of_node("::1", 7333)) == "[::1]:7333");
}
