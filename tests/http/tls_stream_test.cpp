// TLS on connections, in both roles.

#include "http/nodes_support.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <catch2/catch.hpp>

#include <fstream>
#include <random>

using namespace sandy;
using namespace sandy::tests;
using http::io_status;
using http::tls_stream;
using http::nodes::credentials;

namespace {

/// Two ends that know each other.
struct greeted_pair : linked_pair {
  greeted_pair() {
    node_authority cluster;
    auto one = cluster.node("one");
    auto other = cluster.node("other");
    auto met = greet(*one, *other);
    REQUIRE(met.near);
    REQUIRE(met.far);
  }
};

std::string random_bytes(std::size_t size) {
  std::mt19937_64 random{20260202};
  std::string made(size, '\0');
  for (auto& each : made)
    each = static_cast<char>(random());
  return made;
}

/// All of it in pieces of many sizes; then the end.
io_task<io_status> send_all_of(http::connection& to, std::string_view bytes) {
  std::size_t size = 1;
  while (!bytes.empty()) {
    auto first = bytes.substr(0, size);
    bytes.remove_prefix(first.size());
    auto second = bytes.substr(0, size / 3);
    bytes.remove_prefix(second.size());
    auto status = co_await to.send({first, {}, second}, 5s);
    if (status != io_status::ok)
      co_return status;
    size = size * 5 % 400'009;
  }
  auto status = co_await to.shutdown_send(5s);
  co_return status;
}

/// Runs both at once, on the test's thread.
template <class One, class Other>
std::pair<One, Other> run_both(client_shard& world, io_task<One> one, io_task<Other> other) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  auto both = [](io_task<One> first, io_task<Other> second) -> io_task<std::pair<One, Other>> {
    auto got = co_await (std::move(first) && std::move(second));
    co_return std::pair<One, Other>{std::move(std::get<0>(got)), std::move(std::get<1>(got))};
  };
  return world.run(both(std::move(one), std::move(other)));
}

/// What one end makes of another that is no node of its cluster.
linked_pair::outcome strangers(tls_stream::made client, tls_stream::made server) {
  linked_pair ends;
  return ends.greet(std::move(client), std::move(server));
}

/// A client without a certificate that believes everybody.
struct naive_client {
  explicit naive_client(int version = TLS1_3_VERSION) {
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  }
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
};

bool says(const result<void>& met, std::string_view what) {
  if (met)
    return false;
  INFO(text_of(met.error()));
  CHECK(code_of(met.error()) == errc::upstream_error);
  CHECK(text_of(met.error()).find(what) != std::string::npos);
  return true;
}

} // namespace

TEST_CASE("what is sent within TLS arrives, in either direction, and each direction ends by itself",
          "[tls]") {
  greeted_pair ends;
  auto& world = ends.world;
  CHECK(world.run(ends.near->send({"GET", " /", "x", "\r\n"}, 5s)) == io_status::ok);
  CHECK(world.run(read_bytes(*ends.far, 8)) == "GET /x\r\n");
  CHECK(world.run(ends.near->shutdown_send(5s)) == io_status::ok);
  CHECK(world.run(read_to_end(*ends.far)).empty());
  CHECK(ends.far->ended());
  CHECK(world.run(ends.far->send({"an answer all the same"}, 5s)) == io_status::ok);
  CHECK(world.run(read_bytes(*ends.near, 22)) == "an answer all the same");
  CHECK_FALSE(ends.near->ended());
  run_both(world, read_to_end(*ends.near), [](http::connection& link) -> io_task<int> {
    co_await link.close_gently(5s);
    co_return 0;
  }(*ends.far));
  CHECK(ends.near->ended());
}

TEST_CASE("what was decrypted and not taken is known to be there, though the socket has nothing", "[tls]") {
  greeted_pair ends;
  auto& world = ends.world;
  CHECK_FALSE(ends.far->has_unread());
  REQUIRE(world.run(ends.near->send({"0123456789"}, 5s)) == io_status::ok);
  CHECK(world.run(read_bytes(*ends.far, 4)) == "0123");
  CHECK(ends.far->has_unread());
  CHECK(world.run(ends.far->wait_readable(5s)) == io_status::ok);
  CHECK(world.run(read_bytes(*ends.far, 6)) == "456789");
  CHECK_FALSE(ends.far->has_unread());
  char byte = 0;
  std::size_t count = 0;
  CHECK(ends.far->receive(&byte, 1, count) == io_status::would_block);
  CHECK(world.run(ends.far->wait_readable(20ms)) == io_status::timed_out);
}

TEST_CASE("a socket that ends without the end of TLS is a break, not an end", "[tls]") {
  greeted_pair ends;
  REQUIRE(ends.world.run(ends.near->send({"all of it?"}, 5s)) == io_status::ok);
  boost::system::error_code ec;
  ends.near->raw().shutdown(boost::asio::socket_base::shutdown_send, ec);
  CHECK(ends.world.run(read_to_end(*ends.far)) == "all of it?");
  CHECK_FALSE(ends.far->ended());
  CHECK(ends.far->has_peer_closed());
  CHECK(ends.world.run(ends.far->wait_readable(5s)) == io_status::ok); // `receive` has something to say
  char byte = 0;
  std::size_t count = 0;
  CHECK(ends.far->receive(&byte, 1, count) == io_status::closed);
}

TEST_CASE("a connection that is aborted within TLS is a break", "[tls]") {
  greeted_pair ends;
  ends.near->abort();
  CHECK(ends.world.run(read_to_end(*ends.far)).empty());
  CHECK_FALSE(ends.far->ended());
  CHECK(ends.world.run(ends.near->send({"nobody"}, 5s)) == io_status::closed);
  CHECK(ends.world.run(ends.near->wait_readable(5s)) == io_status::closed);
}

TEST_CASE("bytes that are no TLS are a break", "[tls]") {
  greeted_pair ends;
  auto raw = ends.near->raw().native_handle();
  REQUIRE(send_all(raw, "HTTP/1.1 200 OK\r\n\r\n"));
  CHECK(ends.world.run(read_to_end(*ends.far)).empty());
  CHECK_FALSE(ends.far->ended());
  CHECK(ends.world.run(ends.far->send({"no"}, 5s)) == io_status::closed);
}

TEST_CASE("much goes both ways at once", "[tls]") {
  greeted_pair ends;
  const auto there = random_bytes(12'000'000);
  const auto back = random_bytes(7'000'000);
  auto sending = [](http::connection& near, http::connection& far, std::string_view one,
                    std::string_view other) -> io_task<int> {
    using boost::asio::experimental::awaitable_operators::operator&&;
    auto sent = co_await (send_all_of(near, one) && send_all_of(far, other));
    CHECK(std::get<0>(sent) == io_status::ok);
    CHECK(std::get<1>(sent) == io_status::ok);
    co_return 0;
  };
  auto reading = [](http::connection& near, http::connection& far,
                    std::size_t much) -> io_task<std::pair<std::string, std::string>> {
    using boost::asio::experimental::awaitable_operators::operator&&;
    auto got = co_await (read_to_end(far) && read_bytes(near, much));
    co_return std::pair{std::move(std::get<0>(got)), std::move(std::get<1>(got))};
  };
  auto [sent, got] = run_both(ends.world, sending(*ends.near, *ends.far, there, back),
                              reading(*ends.near, *ends.far, back.size()));
  CHECK((got.first == there));
  CHECK((got.second == back));
  CHECK(ends.far->ended());
  CHECK(sent == 0);
}

TEST_CASE("a reader that has stopped is given up; one that is slow gets all, and the end", "[tls]") {
  greeted_pair ends;
  const auto much = random_bytes(32'000'000);
  SECTION("stopped") { CHECK(ends.world.run(ends.near->send({much}, 50ms)) == io_status::timed_out); }
  SECTION("slow") {
    auto slowly = [](http::connection& from) -> io_task<std::string> {
      std::string all;
      for (;;) {
        boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                          boost::asio::wait_traits<std::chrono::steady_clock>, io_executor>
            pause{from.raw().get_executor(), 1ms};
        co_await pause.async_wait(http::as_values);
        auto piece = co_await read_bytes(from, 400'000);
        if (piece.empty())
          co_return all;
        all += piece;
      }
    };
    auto [sent, got] = run_both(ends.world, send_all_of(*ends.near, much), slowly(*ends.far));
    CHECK(sent == io_status::ok);
    CHECK((got == much));
    CHECK(ends.far->ended());
  }
}

TEST_CASE("who waits within TLS is interrupted", "[tls]") {
  greeted_pair ends;
  auto interrupt = [](http::connection& link) -> io_task<int> {
    link.interrupt();
    co_return 0;
  };
  auto [waited, done] = run_both(ends.world, ends.far->wait_readable(0ms), interrupt(*ends.far));
  CHECK(waited == io_status::closed);
  CHECK(done == 0);
  // Also when there is something to read.
  REQUIRE(ends.world.run(ends.near->send({"0123456789"}, 5s)) == io_status::ok);
  CHECK(ends.world.run(ends.far->wait_readable(0ms)) == io_status::closed);
}

TEST_CASE("a client that leaves is noticed behind what it sent", "[tls]") {
  greeted_pair ends;
  REQUIRE(ends.world.run(ends.near->send({"more than it is asked for"}, 5s)) == io_status::ok);
  auto leave = [](http::connection& link) -> io_task<int> {
    auto status = co_await link.shutdown_send(5s);
    co_return status == io_status::ok ? 0 : 1;
  };
  auto wait = [](http::connection& link) -> io_task<int> {
    co_await link.peer_closed(1024);
    co_return 0;
  };
  run_both(ends.world, wait(*ends.far), leave(*ends.near));
  CHECK(ends.far->has_peer_closed());
  CHECK(ends.far->buffer().data() == "more than it is asked for");
}

TEST_CASE("only who has a certificate of the same authority is met", "[tls]") {
  node_authority cluster, elsewhere;
  auto ours = cluster.node();
  auto theirs = elsewhere.node();
  SECTION("a server of another cluster") {
    auto met = strangers(tls_stream::client(ours->client()), tls_stream::server(theirs->server()));
    CHECK(says(met.near, "has no TLS that can be trusted: unable to get local issuer certificate"));
    CHECK(says(met.far, "unknown ca"));
  }
  SECTION("a client of another cluster") {
    auto path = elsewhere.issue("liar");
    naive_client liar;
    REQUIRE(SSL_CTX_use_certificate_file(liar.context.get(), (path + ".crt").c_str(), SSL_FILETYPE_PEM) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey_file(liar.context.get(), (path + ".key").c_str(), SSL_FILETYPE_PEM) == 1);
    auto met = strangers(tls_stream::client(liar.context.get()), tls_stream::server(ours->server()));
    CHECK(says(met.far, "has no TLS that can be trusted: "));
  }
  SECTION("a client without a certificate") {
    naive_client bare;
    auto met = strangers(tls_stream::client(bare.context.get()), tls_stream::server(ours->server()));
    CHECK(says(met.far, "peer did not return a certificate"));
  }
  SECTION("TLS 1.2") {
    naive_client old{TLS1_2_VERSION};
    auto met = strangers(tls_stream::client(old.context.get()), tls_stream::server(ours->server()));
    CHECK(says(met.far, "unsupported protocol"));
    CHECK(says(met.near, "alert protocol version"));
  }
}

TEST_CASE("a host is known by its name, where it is asked for by name", "[tls]") {
  node_authority cluster;
  auto host = cluster.node("host.example");
  auto meet = [&](const char* name) {
    return strangers(tls_stream::to_host(host->client(), name), tls_stream::server(host->server()));
  };
  CHECK(meet("host.example").near);
  CHECK(says(meet("other.example").near, "has no TLS that can be trusted: hostname mismatch"));
  CHECK(says(meet("127.0.0.1").near, "has no TLS that can be trusted: IP address mismatch"));
}

TEST_CASE("a greeting has its time, and says how it failed", "[tls]") {
  node_authority cluster;
  auto node = cluster.node();
  for (auto as_server : {true, false}) {
    auto side = [&] {
      return as_server ? tls_stream::server(node->server()) : tls_stream::client(node->client());
    };
    linked_pair silent;
    auto begun = std::chrono::steady_clock::now();
    CHECK(says(silent.world.run(silent.far->greet(std::move(*side()), 30ms)), "did not answer in time"));
    CHECK(std::chrono::steady_clock::now() - begun < 5s);

    linked_pair gone;
    gone.near->abort();
    CHECK(says(gone.world.run(gone.far->greet(std::move(*side()), 5s)), "broke the connection off"));

    linked_pair plain;
    const auto* said = as_server ? "GET / HTTP/1.1\r\nHost: x\r\n\r\n" : "HTTP/1.1 400 Bad Request\r\n\r\n";
    REQUIRE(send_all(plain.near->raw().native_handle(), said));
    CHECK(says(plain.world.run(plain.far->greet(std::move(*side()), 5s)),
               as_server ? "http request" : "wrong version number"));
  }
}

TEST_CASE("what a node shows the others is read, or it is said which file is wrong", "[tls]") {
  node_authority cluster, elsewhere;
  auto one = cluster.issue("one"), other = cluster.issue("other"), old = cluster.issue("old", -60);
  CHECK(credentials::load(one + ".crt", one + ".key", cluster.file));
  const auto missing = one + ".missing";
  const auto garbled = one + ".garbled";
  std::ofstream{garbled} << "no certificate";
  struct {
    std::string certificate, key, authority, named;
  } cases[]{{missing, one + ".key", cluster.file, missing},
            {one + ".crt", missing, cluster.file, missing},
            {one + ".crt", one + ".key", missing, missing},
            {garbled, one + ".key", cluster.file, garbled},
            {one + ".crt", garbled, cluster.file, garbled},
            {one + ".crt", one + ".key", garbled, garbled},
            {one + ".crt", other + ".key", cluster.file, other + ".key"},
            {one + ".crt", one + ".key", elsewhere.file, one + ".crt"},
            {old + ".crt", old + ".key", cluster.file, "expired"}};
  for (const auto& each : cases) {
    auto refused = credentials::load(each.certificate, each.key, each.authority);
    REQUIRE_FALSE(refused);
    INFO(text_of(refused.error()));
    CHECK(code_of(refused.error()) == errc::invalid_argument);
    CHECK(text_of(refused.error()).find(each.named) != std::string::npos);
  }
}
