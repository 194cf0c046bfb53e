#include "runtime/network_capture.hpp"
#include "runtime/network_namespace.hpp"
#include "tests/runtime/lonely_process.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

using namespace sandy;
using namespace sandy::runtime;

namespace {

struct place {
  sockaddr_storage address{};
  socklen_t size = 0;
  int family = AF_INET;
};

place at(const std::string& text, std::uint16_t port) {
  place made;
  if (text.find(':') == std::string::npos) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    REQUIRE(::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1);
    std::memcpy(&made.address, &v4, made.size = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = made.family = AF_INET6;
    v6.sin6_port = htons(port);
    REQUIRE(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1);
    std::memcpy(&made.address, &v6, made.size = sizeof v6);
  }
  return made;
}

std::string in_words(const sockaddr_in6& address) {
  char text[INET6_ADDRSTRLEN]{};
  ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
  std::string words{text};
  if (words.starts_with("::ffff:"))
    words.erase(0, 7);
  return words + " " + std::to_string(ntohs(address.sin6_port));
}

struct captured_process : lonely_process {
  captured_process() {
    auto result = capture_network(handle.get());
    INFO((result ? std::string{} : text_of(result.error())));
    REQUIRE(result);
    made = std::move(*result);
    REQUIRE(made.ipv6);
  }

  int connect_to(const std::string& text, std::uint16_t port) {
    auto to = at(text, port);
    return lonely_process::connect_to(reinterpret_cast<sockaddr*>(&to.address), to.size, to.family);
  }
  /// Where the next connection that waits was meant to go.
  std::string taken() {
    unique_fd taken{::accept(made.connections.get(), nullptr, nullptr)};
    if (!taken)
      return "none";
    sockaddr_in6 local{};
    socklen_t size = sizeof local;
    REQUIRE(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0);
    return in_words(local);
  }
  /// Sends a datagram from there. 0, or the errno of sending a second one: a refusal is told then.
  int send_to(const std::string& text, std::uint16_t port) {
    auto to = at(text, port);
    client = inside([&] { return ::socket(to.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); });
    REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&to.address), to.size) == 0);
    REQUIRE(::send(client.get(), "question", 8, 0) == 8);
    return ::send(client.get(), "question", 8, 0) == 8 ? 0 : errno;
  }

  network_capture made;
};

} // namespace

TEST_CASE_METHOD(captured_process,
                 "every TCP connection to the world is captured, and tells where it was for",
                 "[network_capture]") {
  for (auto to : {"93.184.216.34", "10.1.2.3", "169.254.169.254", "8.8.8.8", "2606:2800:220:1::1", "fd00::1"})
    for (std::uint16_t port : {1, 22, 53, 443, 40000}) {
      CHECK(connect_to(to, port) == 0);
      CHECK(taken() == to + (" " + std::to_string(port)));
    }
}

TEST_CASE_METHOD(captured_process, "loopback stays the sandbox's own", "[network_capture]") {
  auto everywhere = listen_on_all(4000);
  CHECK(connect_to("127.0.0.1", 4001) == ECONNREFUSED);
  CHECK(connect_to("127.0.0.1", 53) == ECONNREFUSED);
  CHECK(connect_to("::1", 4001) == ECONNREFUSED);
  CHECK(connect_to("127.9.9.9", 4000) == 0);
  CHECK(connect_to("0.0.0.0", 4000) == 0);
  CHECK(taken() == "none");
  // Who listens everywhere gets nothing that is meant for the world.
  CHECK(connect_to("93.184.216.34", 4000) == 0);
  CHECK(taken() == "93.184.216.34 4000");
}

TEST_CASE_METHOD(captured_process, "questions for names are captured, whoever is asked",
                 "[network_capture]") {
  for (auto to : {"127.83.255.253", "8.8.8.8", "2001:4860:4860::8888"}) {
    CHECK(send_to(to, 53) == 0);
    char bytes[16], control[128];
    iovec piece{bytes, sizeof bytes};
    sockaddr_storage from{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    REQUIRE(::recvmsg(made.questions.get(), &message, 0) == 8);
    in6_pktinfo asked{};
    for (auto* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each))
      if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO)
        std::memcpy(&asked, CMSG_DATA(each), sizeof asked);
    sockaddr_in6 told{};
    told.sin6_addr = asked.ipi6_addr;
    told.sin6_port = htons(53);
    CHECK(in_words(told) == to + std::string{" 53"});
    // The answer comes from there, else the asker would not take it.
    asked.ipi6_ifindex = 0;
    msghdr answer{};
    answer.msg_name = &from;
    answer.msg_namelen = message.msg_namelen;
    answer.msg_iov = &piece;
    answer.msg_iovlen = 1;
    answer.msg_control = control;
    answer.msg_controllen = CMSG_SPACE(sizeof asked);
    auto* head = CMSG_FIRSTHDR(&answer);
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof asked);
    std::memcpy(CMSG_DATA(head), &asked, sizeof asked);
    CHECK(::sendmsg(made.questions.get(), &answer, 0) == sizeof bytes);
    CHECK(::recv(client.get(), bytes, sizeof bytes, 0) == sizeof bytes);
    while (::recv(made.questions.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
  }
}

TEST_CASE_METHOD(captured_process, "other datagrams are refused, at once", "[network_capture]") {
  for (auto to : {"93.184.216.34", "2606:2800:220:1::1"})
    CHECK(send_to(to, 443) == ECONNREFUSED);
}

TEST_CASE_METHOD(captured_process, "a capture of the world ends with its descriptors, and can be made again",
                 "[network_capture]") {
  made = network_capture{};
  CHECK(connect_to("93.184.216.34", 80) == ECONNREFUSED);
  auto again = capture_network(handle.get());
  REQUIRE(again);
  made = std::move(*again);
  CHECK(connect_to("93.184.216.34", 80) == 0);
  CHECK(taken() == "93.184.216.34 80");
}

TEST_CASE_METHOD(captured_process, "a port that a process took meanwhile does not stop a capture",
                 "[network_capture]") {
  made = network_capture{};
  auto squatter = listen_on_all(53);
  auto again = capture_network(handle.get());
  REQUIRE(again);
  made = std::move(*again);
  CHECK(connect_to("93.184.216.34", 53) == 0);
  CHECK(taken() == "93.184.216.34 53");
}

TEST_CASE_METHOD(lonely_process, "nothing of the world is captured of a process that is gone",
                 "[network_capture]") {
  end();
  CHECK(code_of(capture_network(handle.get()).error()) == errc::sandbox_ended);
}
