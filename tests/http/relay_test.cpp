#include "http/relay/relays.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <future>
#include <string>
#include <thread>

using namespace sandy;
using runtime::unique_fd;

namespace {

constexpr std::uint32_t here = 0x7f000001;    // where the target listens
constexpr std::uint32_t dialled = 0x7f000002; // what is captured

sockaddr_in address_of(std::uint32_t ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(ip);
  return address;
}

unique_fd listener_on(std::uint32_t ip, std::uint16_t port, int flags = 0) {
  unique_fd made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)};
  int on = 1;
  ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto address = address_of(ip, port);
  REQUIRE(::bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(made.get(), 16) == 0);
  return made;
}

std::uint16_t port_of(const unique_fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

/// A blocking socket that gives up after a while, so that no test hangs.
void be_patient(int socket) {
  timeval patience{20, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

unique_fd connect_to(std::uint32_t ip, std::uint16_t port) {
  unique_fd made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  be_patient(made.get());
  auto address = address_of(ip, port);
  if (::connect(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    made.reset();
  return made;
}

unique_fd accept_from(const unique_fd& listener) {
  be_patient(listener.get());
  unique_fd made{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  be_patient(made.get());
  return made;
}

void send(const unique_fd& to, std::string_view bytes) {
  CHECK(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

/// What comes until the other side ends, and how that was: "hello end", "reset".
std::string all_of(const unique_fd& from) {
  std::string got;
  char piece[4096];
  for (;;) {
    auto size = ::recv(from.get(), piece, sizeof piece, 0);
    if (size > 0)
      got.append(piece, static_cast<std::size_t>(size));
    else
      return got + (size == 0 ? " end" : errno == ECONNRESET ? " reset" : " nothing");
  }
}

/// A thread with doors, one of them open: connections to 127.0.0.2 lead to 127.0.0.1, on the same port.
struct relay_stage {
  relay_stage() {
    target = listener_on(here, 0);
    port = port_of(target);
    auto captured = listener_on(dialled, port, SOCK_NONBLOCK);
    door = relays.open({std::move(captured), unique_fd{}}, "a");
    REQUIRE(door);
    open(0);
  }
  ~relay_stage() {
    door.reset();
    guard.reset();
    thread.join();
  }
  void open(std::uint16_t closed_port, std::vector<boost::asio::ip::tcp::endpoint> places = {}) {
    runtime::relay_target to;
    to.places = std::move(places);
    to.sockets = [](int family) -> io_task<result<unique_fd>> {
      co_return unique_fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    };
    to.use = [this] { return in_use; };
    to.closed_port = closed_port;
    on_thread([&] { door->open(dialled, to); });
  }
  void on_thread(std::function<void()> work) {
    std::promise<void> done;
    door->post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{io.get_executor()};
  std::thread thread{[this] { io.run(); }};
  http::relay::relays relays{{&io}};
  std::shared_ptr<void> in_use = std::make_shared<int>();
  std::shared_ptr<runtime::relay_door> door;
  unique_fd target;
  std::uint16_t port = 0;
};

} // namespace

TEST_CASE_METHOD(relay_stage, "bytes go both ways, and who stops sending still hears the answer", "[relay]") {
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  send(client, "hello");
  ::shutdown(client.get(), SHUT_WR);
  CHECK(all_of(server) == "hello end");
  CHECK(in_use.use_count() > 1);
  send(server, "good bye");
  server.reset();
  CHECK(all_of(client) == "good bye end");
}

TEST_CASE_METHOD(relay_stage, "megabytes arrive as they were sent", "[relay]") {
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  std::string bytes(9'000'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 31 >> 3);
  auto sent = std::async(std::launch::async, [&] {
    std::string_view rest = bytes;
    while (!rest.empty()) {
      auto size = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (size <= 0)
        return false;
      rest.remove_prefix(static_cast<std::size_t>(size));
    }
    return ::shutdown(client.get(), SHUT_WR) == 0;
  });
  auto got = all_of(server);
  CHECK(sent.get());
  CHECK((got == bytes + " end"));
}

TEST_CASE_METHOD(relay_stage, "a side that breaks breaks the other", "[relay]") {
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  linger at_once{1, 0};
  auto& breaking = GENERATE(0, 1) == 0 ? client : server;
  auto& hearing = &breaking == &client ? server : client;
  ::setsockopt(breaking.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  breaking.reset();
  CHECK(all_of(hearing) == " reset");
}

TEST_CASE_METHOD(relay_stage, "an address that is cut resets what is open and what comes", "[relay]") {
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  on_thread([&] { door->cut(dialled); });
  CHECK(all_of(client) == " reset");
  CHECK(all_of(server) == " reset");
  auto late = connect_to(dialled, port);
  CHECK((!late || all_of(late) == " reset"));
}

TEST_CASE_METHOD(relay_stage, "a target where nothing listens is a reset", "[relay]") {
  target.reset();
  auto client = connect_to(dialled, port);
  CHECK((!client || all_of(client) == " reset"));
}

TEST_CASE_METHOD(relay_stage, "a closed port is a reset, whoever listens there", "[relay]") {
  open(port);
  auto client = connect_to(dialled, port);
  CHECK((!client || all_of(client) == " reset"));
}

TEST_CASE_METHOD(relay_stage, "a target that listens on IPv6 alone is reached", "[relay]") {
  target.reset(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  REQUIRE(::bind(target.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(target.get(), 1) == 0);
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  send(server, "six");
  server.reset();
  CHECK(all_of(client) == "six end");
}

TEST_CASE_METHOD(relay_stage, "a door that goes takes all with it, and nothing holds what it led to",
                 "[relay]") {
  auto client = connect_to(dialled, port);
  REQUIRE(client);
  auto server = accept_from(target);
  SECTION("closed") {
    on_thread([&] { door->close(); });
    CHECK_FALSE(connect_to(dialled, port));
    CHECK(in_use.use_count() <= 2); // the frame that ends, at most
  }
  SECTION("let go") { door = relays.open({listener_on(dialled, 0, SOCK_NONBLOCK), unique_fd{}}, "b"); }
  CHECK(all_of(client) == " reset");
  CHECK(all_of(server) == " reset");
  CHECK_FALSE(connect_to(dialled, port));
}

TEST_CASE("a descriptor that cannot be used opens no door", "[relay]") {
  boost::asio::io_context io{1};
  http::relay::relays relays{{&io}};
  CHECK_FALSE(relays.open({unique_fd{}, unique_fd{}}, "a"));
}

TEST_CASE_METHOD(relay_stage, "a target with places of its own is reached at the first that answers",
                 "[relay]") {
  auto other = listener_on(0x7f000003, 0);
  boost::asio::ip::tcp::endpoint nobody{boost::asio::ip::make_address_v4("127.0.0.4"), port};
  boost::asio::ip::tcp::endpoint somebody{boost::asio::ip::make_address_v4("127.0.0.3"), port_of(other)};
  open(0, {nobody, somebody});
  auto client = connect_to(dialled, port);
  auto far = accept_from(other);
  send(client, "hello");
  ::shutdown(client.get(), SHUT_WR);
  CHECK(all_of(far) == "hello end");
}
