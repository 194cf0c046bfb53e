#include "http/egress/addresses.hpp"

#include "http/outbound/address_policy.hpp"
#include "runtime/unique_fd.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace sandy::http::egress {

namespace {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

/// Interfaces come and go; asking the kernel for each connection would cost more than the connection.
constexpr std::chrono::seconds own_addresses_life{2};

/// @returns nothing when the kernel does not say
std::set<network_address> read_own_addresses() {
  std::set<network_address> own;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0)
    return own;
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all{first, ::freeifaddrs};
  for (auto* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr)
      continue;
    if (each->ifa_addr->sa_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, each->ifa_addr, sizeof v4);
      own.insert(to_network(address_v4{ntohl(v4.sin_addr.s_addr)}));
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, each->ifa_addr, sizeof v6);
      network_address address{};
      std::memcpy(address.data(), &v6.sin6_addr, address.size());
      own.insert(address);
    }
  }
  return own;
}

} // namespace

network_address to_network(const boost::asio::ip::address& address) {
  if (address.is_v6())
    return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

boost::asio::ip::address to_asio(const network_address& address) {
  address_v6 v6{address};
  if (v6.is_v4_mapped())
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6);
  return v6;
}

bool reachable_addresses::may_reach(const network_address& address, std::uint16_t port) const {
  const auto opened = std::any_of(opened_.begin(), opened_.end(),
                                  [&](const auto& rule) { return rule.matches(address, port); });
  return (opened || outbound::is_public(to_asio(address))) && !is_own(address);
}

bool reachable_addresses::may_answer(const network_address& address) const {
  const auto opened = std::any_of(opened_.begin(), opened_.end(),
                                  [&](const auto& rule) { return rule.matches(address, rule.first_port); });
  return (opened || outbound::is_public(to_asio(address))) && !is_own(address);
}

bool reachable_addresses::is_own(const network_address& address) const {
  // All of 127.0.0.0/8 is the machine itself, though an interface has but one address of it; and who connects
  // to no address at all reaches the machine, too.
  if (auto any = to_asio(address); any.is_loopback() || any.is_unspecified() || any.is_multicast())
    return true;
  std::lock_guard lock{mutex_};
  auto now = std::chrono::steady_clock::now();
  if (now >= own_until_) {
    if (auto read = read_own_addresses(); !read.empty())
      own_ = std::move(read);
    own_until_ = now + own_addresses_life;
  }
  return own_.empty() || own_.contains(address); // never read: better nothing than ourselves
}

bool reachable_addresses::has_route(const network_address& address) noexcept {
  const auto v4 = is_ipv4(address);
  runtime::unique_fd probe{::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!probe)
    return false;
  constexpr std::uint16_t any_port = 53; // connecting a socket for datagrams only looks for the route
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(any_port);
  std::memcpy(&to4.sin_addr, address.data() + 12, 4);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  to6.sin6_port = htons(any_port);
  std::memcpy(&to6.sin6_addr, address.data(), 16);
  return ::connect(probe.get(), v4 ? reinterpret_cast<sockaddr*>(&to4) : reinterpret_cast<sockaddr*>(&to6),
                   v4 ? sizeof to4 : sizeof to6) == 0;
}

} // namespace sandy::http::egress
