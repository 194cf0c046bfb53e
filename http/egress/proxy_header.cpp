#include "http/egress/proxy_header.hpp"

#include <cstdint>

namespace sandy::http::egress {

namespace {

constexpr std::string_view signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr char version_2_proxied = 0x21;
constexpr char tcp_over_ipv4 = 0x11;
constexpr char unique_id = 0x05;
constexpr std::size_t addresses_and_ports = 12;

void append_16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

void append_address(std::string& out, const boost::asio::ip::tcp::endpoint& place) {
  const auto bytes = place.address().is_v4() ? place.address().to_v4().to_bytes()
                                             : boost::asio::ip::address_v4::bytes_type{}; // it has none
  out.append(bytes.begin(), bytes.end());
}

} // namespace

std::string proxy_header(std::string_view id, const boost::asio::ip::tcp::endpoint& from,
                         const boost::asio::ip::tcp::endpoint& to) {
  std::string out{signature};
  out += version_2_proxied;
  out += tcp_over_ipv4;
  append_16(out, addresses_and_ports + 3 + id.size());
  append_address(out, from);
  append_address(out, to);
  append_16(out, from.port());
  append_16(out, to.port());
  out += unique_id;
  append_16(out, id.size());
  out += id;
  return out;
}

} // namespace sandy::http::egress
