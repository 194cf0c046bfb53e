// Which sandbox, and which of its ports, a request is for.

#include "http/ingress/host_name.hpp"
#include "http/request_head.hpp"

#include <boost/asio/buffer.hpp>
#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

using namespace sandy;
using namespace sandy::http;
using namespace sandy::http::ingress;

namespace {

const std::string id = "46da12d345fb7c0146da12d3";
const std::vector<std::string> suffixes{".sandy.localhost", ".boxes.example.com"};

std::optional<addressed_sandbox> named_by(const std::string& fields) {
  request_head head;
  request_parser parser{head};
  boost::beast::error_code ec;
  auto text = "GET / HTTP/1.1\r\n" + fields + "\r\n";
  parser.put(boost::asio::const_buffer{text.data(), text.size()}, ec);
  REQUIRE(!ec);
  auto found = addressed(head, suffixes);
  if (found)
    found->given = {}; // it lives as long as the head
  return found;
}

} // namespace

TEST_CASE("a host name says which sandbox and which port", "[ingress]") {
  auto plain = parse_host(id + ".sandy.localhost", suffixes);
  REQUIRE(plain);
  CHECK(plain->id.value == id);
  CHECK((plain->named_port == 0 && plain->host_port == 0 && plain->suffix == ".sandy.localhost"));
  CHECK(parse_host(id + ".boxes.example.com:8080", suffixes)->host_port == 8080);
  CHECK(parse_host("3000-" + id + ".sandy.localhost", suffixes)->named_port == 3000);
  CHECK(parse_host("sandbox-" + id + ".sandy.localhost", suffixes)->id.value == id);
  CHECK(parse_host("sandbox-80-" + id + ".sandy.localhost", suffixes)->named_port == 80);
  CHECK(parse_host("80-sandbox-" + id + ".sandy.localhost", suffixes)->id.value == id);
  CHECK(parse_host("46DA12D345FB7C0146DA12D3.Sandy.LOCALHOST", suffixes) == plain);
  CHECK(parse_host(id + ".sandy.localhost.", suffixes) == plain);
  CHECK(parse_host(id + ".sandy.localhost:", suffixes) == plain);
}

TEST_CASE("a name below a suffix that is none of a sandbox is one of an unknown sandbox", "[ingress]") {
  for (const auto& label :
       {std::string{"api"}, "x" + id, "x." + id, "0-" + id, "65536-" + id, "-" + id, "03000-" + id,
        "3000-80-" + id, id.substr(1), "g" + id.substr(1), "sandbox-" + id.substr(8),
        "3000-sandbox-sandbox-" + id, std::string{"-"}, std::string{"."}}) {
    INFO(label);
    auto found = parse_host(label + ".sandy.localhost", suffixes);
    REQUIRE(found);
    CHECK(found->id.value.empty());
  }
}

TEST_CASE("every other host is none of a sandbox", "[ingress]") {
  for (const auto& host :
       {std::string{}, std::string{"sandy.localhost"}, std::string{".sandy.localhost"}, id,
        id + ".other.localhost", id + "sandy.localhost", id + ".sandy.localhost:port",
        id + ".sandy.localhost:70000", id + ".sandy.localhost..", std::string{"[::1]:80"}}) {
    INFO(host);
    CHECK_FALSE(parse_host(host, suffixes));
  }
}

TEST_CASE("the headers that name a sandbox have an order", "[ingress]") {
  auto other = std::string(24, 'a');
  auto host = "Host: " + id + ".sandy.localhost\r\n";
  CHECK(named_by(host)->host.id.value == id);
  CHECK(named_by(host + "X-Forwarded-Host: " + other + ".sandy.localhost\r\n")->host.id.value == other);
  CHECK(named_by("X-Forwarded-Host: " + other + ".sandy.localhost\r\n" + host + "X-Sandy-Host: 80-" + id +
                 ".sandy.localhost\r\n")
            ->host.named_port == 80);
  // One that names none is passed over.
  CHECK(named_by(host + "X-Forwarded-Host: www.example.com\r\nX-Sandy-Host: nonsense\r\n")->host.id.value ==
        id);
  // Proxies add themselves behind what the client said.
  CHECK(named_by("Host: x\r\nX-Forwarded-Host: " + id + ".sandy.localhost, proxy.example.com\r\n")
            ->host.id.value == id);
  CHECK_FALSE(named_by("Host: localhost:7330\r\n"));
  CHECK_FALSE(named_by("Host: x\r\nX-Forwarded-Host: proxy.example.com, " + id + ".sandy.localhost\r\n"));
}

TEST_CASE("a port is the one named, dialled, or the runtime port", "[ingress]") {
  const std::vector<std::uint16_t> exposed{3000, 7330};
  port_choice choice{0, 7330, 5173, exposed};
  CHECK(chosen_port({sandbox_id{id}, 0, 0, {}}, choice) == 5173);
  CHECK(chosen_port({sandbox_id{id}, 8000, 3000, {}}, choice) == 8000);
  CHECK(chosen_port({sandbox_id{id}, 0, 3000, {}}, choice) == 3000); // a front proxy listens there
  CHECK(chosen_port({sandbox_id{id}, 0, 4000, {}}, choice) == 5173); // whatever that is
  CHECK(chosen_port({sandbox_id{id}, 0, 7330, {}}, choice) == 5173); // the public URL itself
  choice.arrival_port = 8080;
  CHECK(chosen_port({sandbox_id{id}, 0, 3000, {}}, choice) == 8080);
  CHECK(chosen_port({sandbox_id{id}, 9000, 0, {}}, choice) == 9000);
}

TEST_CASE("no bytes in a host name break its reader", "[ingress]") {
  std::mt19937 random{7};
  const std::string parts[]{
      id, ".sandy.localhost", "sandbox-", "-", ":", "80", "0", ".", "\0", "\xff", "A", "[", "]"};
  for (int round = 0; round < 20'000; ++round) {
    std::string host;
    for (auto count = random() % 6; count > 0; --count)
      host += parts[random() % std::size(parts)];
    if (auto found = parse_host(host, suffixes); found && !found->id.value.empty()) {
      INFO(host);
      CHECK(is_sandbox_id(found->id.value));
      CHECK(host.find(id) != std::string::npos);
    }
  }
}
