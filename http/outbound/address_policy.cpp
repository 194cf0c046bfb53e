#include "http/outbound/address_policy.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sandy::http::outbound {

namespace {

struct v4_block {
  std::uint32_t network;
  unsigned bits;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr std::array special_v4{
    v4_block{v4(0, 0, 0, 0), 8},      v4_block{v4(10, 0, 0, 0), 8},     v4_block{v4(100, 64, 0, 0), 10},
    v4_block{v4(127, 0, 0, 0), 8},    v4_block{v4(169, 254, 0, 0), 16}, v4_block{v4(172, 16, 0, 0), 12},
    v4_block{v4(192, 0, 0, 0), 24},   v4_block{v4(192, 0, 2, 0), 24},   v4_block{v4(192, 88, 99, 0), 24},
    v4_block{v4(192, 168, 0, 0), 16}, v4_block{v4(198, 18, 0, 0), 15},  v4_block{v4(198, 51, 100, 0), 24},
    v4_block{v4(203, 0, 113, 0), 24}, v4_block{v4(224, 0, 0, 0), 4},    v4_block{v4(240, 0, 0, 0), 4},
};

bool is_public_v4(std::uint32_t address) noexcept {
  return std::none_of(special_v4.begin(), special_v4.end(), [address](const v4_block& block) {
    return (address ^ block.network) >> (32 - block.bits) == 0;
  });
}

bool is_public_v6(const boost::asio::ip::address_v6& address) noexcept {
  auto bytes = address.to_bytes();
  auto group = [&bytes](std::size_t i) { return bytes[2 * i] << 8 | bytes[2 * i + 1]; };
  if ((bytes[0] & 0xe0) !=
      0x20) // global unicast is 2000::/3; mapped and translated IPv4, local and multicast lie outside
    return false;
  if (group(0) == 0x2001 &&
      (group(1) < 0x200 || group(1) == 0xdb8)) // protocol assignments, Teredo; documentation
    return false;
  if (group(0) == 0x2002) // 6to4: an IPv4 address in disguise
    return false;
  return !(group(0) == 0x3fff && group(1) < 0x1000); // documentation
}

} // namespace

bool is_public(const boost::asio::ip::address& address) noexcept {
  return address.is_v4() ? is_public_v4(address.to_v4().to_uint()) : is_public_v6(address.to_v6());
}

} // namespace sandy::http::outbound
