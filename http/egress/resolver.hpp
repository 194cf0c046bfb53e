#pragma once

#include "http/egress/dns_message.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/asio/ip/udp.hpp>

#include <string>
#include <vector>

namespace sandy::http::egress {

/// Asks name servers for the addresses of names. Immutable: for any thread.
class resolver {
public:
  /// @param servers asked one after the other, until one answers.
  explicit resolver(std::vector<boost::asio::ip::udp::endpoint> servers)
      : servers_(std::move(servers)) {}

  /// @param name canonical. Takes some seconds when no server answers; fails with upstream_error then.
  io_task<result<dns_answer>> ask(std::string name, bool ipv4) const;

private:
  std::vector<boost::asio::ip::udp::endpoint> servers_;
};

/// Those that texts such as 10.0.0.2 or 127.0.0.1:5353 name; those of the machine when there are none.
/// Blocking (reads /etc/resolv.conf). Fails with invalid_argument.
result<std::vector<boost::asio::ip::udp::endpoint>> name_servers(const std::vector<std::string>& texts);

} // namespace sandy::http::egress
