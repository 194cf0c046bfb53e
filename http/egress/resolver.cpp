#include "http/egress/resolver.hpp"

#include "http/egress/addresses.hpp"
#include "http/timed.hpp"

#include <boost/asio/basic_datagram_socket.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <openssl/rand.h>

#include <array>
#include <chrono>
#include <fstream>
#include <sstream>

namespace sandy::http::egress {

namespace net = boost::asio;
using net::ip::tcp;
using net::ip::udp;

namespace {

constexpr std::chrono::milliseconds answer_timeout{1'500};
constexpr int rounds = 2; ///< datagrams get lost
constexpr std::uint16_t name_port = 53;

caf::error no_answer() { return fail(errc::upstream_error, "No name server answered"); }

std::uint16_t unguessable_id() {
  std::uint16_t id = 0;
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) != 1)
    throw std::runtime_error("no random numbers");
  return id;
}

/// Waits for the answer among what comes: from this server alone, because the socket is connected, but
/// perhaps late from an earlier question, or made up.
io_task<result<dns_answer>> receive(net::basic_datagram_socket<udp, io_executor>& socket, std::uint16_t id,
                                    const std::string& name, bool ipv4) {
  std::array<std::uint8_t, 4096> memory{};
  for (;;) {
    auto [ec, size] = co_await socket.async_receive(net::buffer(memory), as_values);
    if (ec)
      co_return no_answer();
    auto answer = read_answer({memory.data(), size}, id, name, ipv4);
    if (answer)
      co_return std::move(answer);
  }
}

io_task<result<dns_answer>> ask_by_datagram(udp::endpoint server, std::string name, bool ipv4) {
  auto executor = co_await net::this_coro::executor;
  // A socket of its own for each question: its port is as hard to guess as the id.
  net::basic_datagram_socket<udp, io_executor> socket{executor};
  boost::system::error_code ec;
  socket.open(server.protocol(), ec);
  if (!ec)
    socket.connect(server, ec);
  if (ec)
    co_return no_answer();
  const auto id = unguessable_id();
  auto question = write_question(id, name, ipv4);
  auto sent = co_await socket.async_send(net::buffer(question), as_values);
  if (std::get<0>(sent))
    co_return no_answer();
  io_timer timer{executor, answer_timeout};
  auto answer = co_await within(timer, receive(socket, id, name, ipv4));
  if (!answer)
    co_return no_answer();
  co_return std::move(*answer);
}

io_task<result<dns_answer>> converse(net::basic_stream_socket<tcp, io_executor>& socket, tcp::endpoint server,
                                     std::string name, bool ipv4) {
  auto connected = co_await socket.async_connect(server, as_values);
  if (std::get<0>(connected))
    co_return no_answer();
  const auto id = unguessable_id();
  auto question = write_question(id, name, ipv4);
  const auto size = question.size();
  question.insert(question.begin(), {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  auto written = co_await net::async_write(socket, net::buffer(question), as_values);
  if (std::get<0>(written))
    co_return no_answer();
  std::array<std::uint8_t, 2> length{};
  auto announced = co_await net::async_read(socket, net::buffer(length), as_values);
  if (std::get<0>(announced))
    co_return no_answer();
  dns_bytes message(static_cast<std::size_t>(length[0] << 8 | length[1]));
  auto read = co_await net::async_read(socket, net::buffer(message), as_values);
  if (std::get<0>(read))
    co_return no_answer();
  co_return read_answer(message, id, name, ipv4);
}

io_task<result<dns_answer>> ask_by_stream(udp::endpoint server, std::string name, bool ipv4) {
  auto executor = co_await net::this_coro::executor;
  net::basic_stream_socket<tcp, io_executor> socket{executor};
  tcp::endpoint place{server.address(), server.port()};
  io_timer timer{executor, answer_timeout};
  auto talk = converse(socket, place, std::move(name), ipv4);
  auto answer = co_await within(timer, std::move(talk));
  if (!answer)
    co_return no_answer();
  co_return std::move(*answer);
}

} // namespace

io_task<result<dns_answer>> resolver::ask(std::string name, bool ipv4) const {
  const auto servers = servers_;
  for (int round = 0; round < rounds; ++round)
    for (const auto& server : servers) {
      auto answer = co_await ask_by_datagram(server, name, ipv4);
      if (answer && answer->cut)
        answer = co_await ask_by_stream(server, name, ipv4);
      if (answer && answer->code != dns_code::failed)
        co_return std::move(answer);
    }
  co_return no_answer();
}

result<std::vector<udp::endpoint>> name_servers(const std::vector<std::string>& texts) {
  std::vector<udp::endpoint> servers;
  auto add = [&](std::string_view text) {
    auto rule = parse_network_rule(text);
    if (!rule || rule->by_name())
      return false;
    const auto port = rule->first_port == 0 ? name_port : rule->first_port;
    servers.emplace_back(to_asio(rule->network), port);
    return true;
  };
  for (const auto& text : texts)
    if (!add(text))
      return fail(errc::invalid_argument, "network_dns has an entry that is no address: " + text);
  if (!texts.empty())
    return servers;
  std::ifstream file{"/etc/resolv.conf"};
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string key, value;
    if (words >> key >> value && key == "nameserver")
      add(value); // one with a scope, as fe80::1%eth0, is left out
  }
  return servers;
}

} // namespace sandy::http::egress
