#include "http/egress/outgoing.hpp"
#include "secrets_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch.hpp>

#include <future>
#include <thread>

using namespace sandy;
using namespace sandy::http::egress;
using testing::tls_end;

namespace {

const std::string host = "good.example";
const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n";

std::string get(const std::string& path, const std::string& fields = {}, const std::string& to = host) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + to + "\r\n" + fields + "\r\n";
}
const std::string upgrade = get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
const std::string foreign = get("/2", {}, "cdn.example");

/// A connection of HTTP to good.example of which every request is looked at; its client and its host are the
/// test's.
struct looked_at {
  void start(std::string begun) {
    using socket = http::relay::socket;
    const auto v4 = boost::asio::ip::tcp::v4();
    conn = std::make_shared<outgoing>(socket{io.get_executor(), v4, near.ours});
    conn->far.assign(v4, far.ours);
    conn->name = host;
    conn->sent = conn->received = [](std::size_t) { return true; };
    conn->to.port = 80;
    over = boost::asio::co_spawn(io, pass_on_requests(conn, std::move(begun)), boost::asio::use_future);
    thread = std::thread{[this] { io.run(); }};
  }
  ~looked_at() {
    if (conn)
      boost::asio::post(io, [pair = conn] { pair->cut(); });
    busy.reset();
    if (thread.joinable())
      thread.join();
  }
  bool ends() {
    if (over.wait_for(std::chrono::seconds{20}) != std::future_status::ready)
      return false;
    over.get();
    return true;
  }
  std::string all_of(tls_end& end) {
    std::string all;
    end.read_all(all);
    return all;
  }

  boost::asio::io_context io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy{io.get_executor()};
  std::thread thread;
  testing::tcp_pair near, far;
  std::unique_ptr<tls_end> client = tls_end::plain(near.theirs), server = tls_end::plain(far.theirs);
  std::shared_ptr<outgoing> conn;
  std::future<void> over;
};

} // namespace

TEST_CASE_METHOD(looked_at, "a request behind one for a WebSocket is not passed on", "[egress_passing]") {
  start(upgrade + foreign);
  CHECK(ends());
  auto got = all_of(*server);
  CHECK(upgrade.starts_with(got)); // a cut may lose what is under way
  CHECK(all_of(*client).empty());
}

TEST_CASE_METHOD(looked_at, "who speaks before a WebSocket is agreed to is cut", "[egress_passing]") {
  start(upgrade);
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  REQUIRE(client->write(foreign));
  CHECK(all_of(*server).empty());
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "a WebSocket that its host agrees to passes as it is", "[egress_passing]") {
  start(upgrade);
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  // In pieces, as a slow network brings it.
  REQUIRE(server->write(agreed.substr(0, 5)));
  REQUIRE(server->write(agreed.substr(5)));
  CHECK(client->read_to("\r\n\r\n") == agreed);
  const auto frames = foreign + std::string("\0\xff end", 6);
  REQUIRE(client->write(frames));
  CHECK(server->read_to(" end") == frames);
  client->say_goodbye();
  CHECK(all_of(*server).empty());
  server->say_goodbye();
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "after a WebSocket that its host does not agree to nothing is passed on",
                 "[egress_passing]") {
  start(upgrade);
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  REQUIRE(server->write(answer));
  CHECK(client->read_to("ok") == answer);
  client->write(foreign);
  CHECK(all_of(*server).empty());
  server->say_goodbye();
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "a WebSocket is the first request of its connection", "[egress_passing]") {
  start(get("/1"));
  CHECK(server->read_to("\r\n\r\n") == get("/1"));
  REQUIRE(server->write(answer));
  CHECK(client->read_to("ok") == answer);
  REQUIRE(client->write(upgrade));
  CHECK(all_of(*server).empty());
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "half an answer to a WebSocket is none", "[egress_passing]") {
  start(upgrade);
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  REQUIRE(server->write("HTTP/1."));
  server->say_goodbye();
  CHECK(all_of(*client) == "HTTP/1.");
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "who leaves while a host does not answer keeps nothing", "[egress_passing]") {
  start(upgrade);
  CHECK(server->read_to("\r\n\r\n") == upgrade);
  client.reset();
  CHECK(ends());
}

TEST_CASE_METHOD(looked_at, "requests for another host are not passed on", "[egress_passing]") {
  start(get("/1") + foreign);
  CHECK(server->read_to("\r\n\r\n") == get("/1"));
  CHECK(all_of(*server).empty());
  CHECK(ends());
}
