#pragma once

#include "http/egress/gate.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sandy::http::egress {

/// What an operator says of all sandboxes' networks.
struct network_settings {
  network_mode max_mode = network_mode::internet;
  std::vector<std::string> allow, deny; ///< destinations
  std::vector<std::string> private_allow;
  std::vector<std::string> name_servers;                  ///< empty: the machine's
  std::optional<boost::asio::ip::tcp::endpoint> platform; ///< none: the platform's names lead nowhere
  bool platform_named = false; ///< the platform is told which sandbox calls: see proxy_header
  std::shared_ptr<tls_sides> tls;
  platform_opener open_platform{}; ///< we serve the platform's names; empty: see `platform`
};

/// Makes gates and spreads them over the server's threads. Thread safe.
class gates {
public:
  /// @param contexts each run by one thread, at least one; they outlive every gate. Blocking: may read
  /// /etc/resolv.conf. @throws std::invalid_argument for settings that are no destinations.
  gates(std::vector<boost::asio::io_context*> contexts, const network_settings& settings,
        metrics::network_metrics& numbers);

  /// A gate for what was captured in one sandbox; nothing goes through yet. @param label names the sandbox in
  /// the log. @returns nullptr when the descriptors cannot be used (logged).
  std::shared_ptr<runtime::network_gate> open(runtime::network_capture captured, std::string label,
                                              std::uint64_t used_bytes);

private:
  std::vector<boost::asio::io_context*> contexts_;
  std::shared_ptr<surroundings> around_;
  std::atomic<std::size_t> next_{0};
};

} // namespace sandy::http::egress
