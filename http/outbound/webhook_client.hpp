#pragma once

#include "http/client/name_lookup.hpp"
#include "messages/events.hpp"
#include "messages/sandbox_io.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace boost::asio::ssl {
class context;
}

namespace sandy::http::outbound {

/// The parts of a webhook's URL.
struct webhook_address {
  bool tls = false;
  std::string host;      ///< a name or an address, without brackets
  std::string port;      ///< decimal
  std::string authority; ///< as the Host header names it
  std::string target;    ///< path and query
};

/// Reads a URL. Fails with invalid_argument and half a sentence ("is not ...").
result<webhook_address> parse_webhook_url(std::string_view url);

/// "v1=" and the lower-case hex HMAC-SHA256 over timestamp + "." + body: what a receiver computes to know
/// that it was us.
std::string webhook_signature(std::string_view secret, std::string_view timestamp, std::string_view body);

/// Posts events to the address of one webhook, each over a connection of its own. TLS certificates are
/// verified, redirects are not followed. Thread safe after `make`.
class webhook_client {
public:
  /// Fails with invalid_argument for a URL that cannot be used. Blocking: reads the system's certificates.
  static result<std::shared_ptr<webhook_client>> make(webhook_settings settings);
  ~webhook_client();

  /// Posts one event and gives the status of the answer, whose body nobody reads. Fails with forbidden when
  /// the host has no address that is allowed, with upstream_error when it cannot be reached, with
  /// deadline_exceeded after 10 s. Names are looked up once, and the address that was checked is the one
  /// connected to.
  /// @param client kept alive by the operation: whoever started it may be gone before it has noticed.
  static io_task<result<unsigned>> post(std::shared_ptr<const webhook_client> client, life_event event);

private:
  webhook_client(webhook_settings settings, webhook_address to);
  io_task<result<unsigned>> try_to_post(life_event event) const;

  webhook_settings settings_;
  webhook_address to_;
  client::name_lookup names_;
  std::unique_ptr<boost::asio::ssl::context> tls_; ///< none for http
};

} // namespace sandy::http::outbound
