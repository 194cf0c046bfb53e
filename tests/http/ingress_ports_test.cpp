// Listeners for the ports that sandboxes expose.

#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;

namespace {

std::shared_ptr<runtime::entrance> exposing(std::uint16_t port, char id = '1') {
  auto made = std::make_shared<runtime::entrance>();
  made->id = sandbox_id{std::string(24, id)};
  made->exposed_ports = {port};
  made->uses = std::make_shared<guest::activity>();
  made->sockets = [](int) -> io_task<result<runtime::unique_fd>> { co_return fail(errc::internal, "none"); };
  made->state = runtime::entrance_state::open;
  return made;
}

/// A port that nobody has, as far as one can know.
std::uint16_t free_port() {
  scripted_application found{[](application_link&) {}};
  return found.port;
}

bool listens(std::uint16_t port) {
  try {
    raw_client client{port};
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace

TEST_CASE("a port is listened on while some sandbox exposes it", "[ingress][ports]") {
  engine edge;
  edge.listen_on_ports();
  const auto port = free_port();
  auto first = exposing(port), second = exposing(port, '2');
  edge.entrances.open(first);
  CHECK(edge.server().ports_not_served({port}).empty());
  edge.entrances.open(second);
  edge.entrances.close(first->id);
  CHECK(listens(port));
  edge.entrances.close(second->id);
  CHECK(eventually([&] { return !listens(port); }));
  CHECK(edge.server().ports_not_served({port}) == std::vector{port});
}

TEST_CASE("a sandbox that follows another has its port at once, again and again", "[ingress][ports]") {
  engine edge;
  edge.listen_on_ports();
  const auto port = free_port();
  for (int round = 0; round < 200; ++round) {
    auto sandbox = exposing(port);
    edge.entrances.open(sandbox);
    REQUIRE(edge.server().ports_not_served({port}).empty());
    REQUIRE(listens(port));
    edge.entrances.close(sandbox->id);
    if (round % 2 == 0)
      REQUIRE(eventually([&] { return !listens(port); }));
  }
}

TEST_CASE("a port that something else had is served for the next sandbox that exposes it",
          "[ingress][ports]") {
  engine edge;
  edge.listen_on_ports();
  auto first = exposing(0), second = exposing(0, '2');
  {
    scripted_application other{[](application_link&) {}};
    first->exposed_ports = second->exposed_ports = {other.port};
    edge.entrances.open(first);
    CHECK(edge.server().ports_not_served(first->exposed_ports) == first->exposed_ports);
  }
  edge.entrances.open(second);
  CHECK(edge.server().ports_not_served(first->exposed_ports).empty());
}
