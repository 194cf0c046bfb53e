#pragma once

#include "messages/network_rule.hpp"

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <mutex>
#include <set>
#include <vector>

namespace sandy::http::egress {

network_address to_network(const boost::asio::ip::address& address); ///< IPv4 in IPv6 becomes IPv4
boost::asio::ip::address to_asio(const network_address& address);

/// Which addresses sandboxes may reach at all. Thread safe.
class reachable_addresses {
public:
  /// @param opened that are not public, and may be reached nevertheless.
  explicit reachable_addresses(std::vector<network_rule> opened)
      : opened_(std::move(opened)) {}

  /// False for what is not public and not opened, and for the addresses of the machine's own interfaces,
  /// always.
  bool may_reach(const network_address& address, std::uint16_t port) const;

  /// The same for an answer of a name server: the port is not known.
  bool may_answer(const network_address& address) const;

  /// Whether the machine has a way there. Sends nothing.
  static bool has_route(const network_address& address) noexcept;

private:
  bool is_own(const network_address& address) const;

  std::vector<network_rule> opened_;
  mutable std::mutex mutex_;
  mutable std::set<network_address> own_;
  mutable std::chrono::steady_clock::time_point own_until_{};
};

} // namespace sandy::http::egress
