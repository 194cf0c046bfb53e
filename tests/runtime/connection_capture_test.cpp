#include "runtime/connection_capture.hpp"
#include "runtime/network_namespace.hpp"
#include "tests/runtime/lonely_process.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

using namespace sandy;
using namespace sandy::runtime;

namespace {

constexpr std::uint32_t own = 0x7f000001, first = 0x7f530001, second = 0x7f5300ff, outside = 0x7f540001;
constexpr captured_range range{0x7f530000, 0xffff0000, 0x7f53fffe, 7330};

using endpoint = std::pair<std::uint32_t, std::uint16_t>;

/// Where the next connection that waits was meant to go; zeros when none waits.
endpoint accepted(const unique_fd& listener) {
  unique_fd client{::accept(listener.get(), nullptr, nullptr)};
  if (!client)
    return {};
  sockaddr_in local{};
  socklen_t size = sizeof local;
  REQUIRE(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0);
  return {ntohl(local.sin_addr.s_addr), ntohs(local.sin_port)};
}

} // namespace

TEST_CASE_METHOD(lonely_process, "a captured connection tells which address and port it was for",
                 "[capture]") {
  auto made = capture_connections(handle.get(), range);
  INFO((made ? std::string{} : text_of(made.error())));
  REQUIRE(made);
  for (auto to : {endpoint{first, 80}, {second, 65535}, {first, 7330}, {range.listener, 1}}) {
    CHECK(connect(to.first, to.second) == 0);
    CHECK(accepted(made->listener) == to);
  }
}

TEST_CASE_METHOD(lonely_process, "connections to other addresses are as ever", "[capture]") {
  auto everywhere = listen_on_all(4000);
  auto api = listen_inside(handle.get(), range.port); // the listener's port, at another address
  auto made = capture_connections(handle.get(), range);
  REQUIRE((made && api));
  CHECK(connect(own, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{own, 4000});
  CHECK(connect(outside, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{outside, 4000});
  CHECK(connect(own, range.port) == 0);
  CHECK(accepted(*api) == endpoint{own, range.port});
  CHECK(connect(own, 4001) == ECONNREFUSED);
  // Whoever listens everywhere gets what is captured no more than anybody else.
  CHECK(connect(first, 4000) == 0);
  CHECK(accepted(everywhere) == endpoint{});
  CHECK(accepted(made->listener) == endpoint{first, 4000});
}

TEST_CASE_METHOD(lonely_process, "a capture ends with its descriptors, and can be made again", "[capture]") {
  auto made = capture_connections(handle.get(), range);
  REQUIRE(made);
  CHECK(code_of(capture_connections(handle.get(), range).error()) == errc::conflict);
  CHECK(connect(first, 80) == 0); // the one that failed took nothing away
  *made = connection_capture{};
  CHECK(connect(first, 80) == ECONNREFUSED);
  auto again = capture_connections(handle.get(), range);
  REQUIRE(again);
  CHECK(connect(first, 80) == 0);
  CHECK(accepted(again->listener) == endpoint{first, 80});
}

TEST_CASE_METHOD(lonely_process, "nothing is captured of a process that is gone", "[capture]") {
  end();
  CHECK(code_of(capture_connections(handle.get(), range).error()) == errc::sandbox_ended);
}
