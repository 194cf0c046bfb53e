#pragma once

#include "messages/error.hpp"

#include <string>
#include <string_view>

namespace sandy::cli {

/// Where a server is.
struct base_url {
  std::string host = "127.0.0.1"; ///< a name or an address, IPv6 without its brackets
  std::string port = "7330";
  std::string prefix; ///< what comes before "/api" in every path; without trailing slash

  /// True when only this machine can be meant: the key in its data directory may be sent there.
  bool is_loopback() const;
  /// For the Host header.
  std::string authority() const;
};

/// Reads "http://host[:port][/prefix]". Fails with invalid_argument and a sentence; https is not spoken by
/// this client.
result<base_url> parse_base_url(std::string_view text);

} // namespace sandy::cli
