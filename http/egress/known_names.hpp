#pragma once

#include "messages/network_rule.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace sandy::http::egress {

/// Which names a sandbox was told that addresses belong to. A value; bounded.
class known_names {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Addresses, and names of one address, that are remembered: the oldest are forgotten.
  static constexpr std::size_t most_addresses = 2048, most_names = 16;

  void add(const network_address& address, const std::string& name, time_point until, time_point now);
  /// Those that still hold.
  std::vector<std::string> names_of(const network_address& address, time_point now) const;
  bool has(const network_address& address, const std::string& name, time_point now) const;

private:
  struct entry {
    std::string name;
    time_point until;
  };
  std::map<network_address, std::vector<entry>> entries_;
};

} // namespace sandy::http::egress
