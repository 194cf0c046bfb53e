#pragma once

#include "http/exchange.hpp"
#include "http/platform/proxy.hpp"

#include <string>

namespace sandy::http::platform {

/// What is sent to a service for a request of a sandbox.
struct outgoing_request {
  std::string method;
  std::string target; ///< path and query
  std::string fields; ///< whole lines; the key among them: never logged
  std::string body;
  std::string model;       ///< that it names, of services whose tokens are counted; empty: none
  bool repeatable = false; ///< it may be sent again when nothing came back
};

/// Makes it: only fields that are known to be harmless pass, no credentials of the caller's do, and those of
/// the platform are added. @param key that came with the sandbox; empty: none did. Fails with
/// invalid_argument or validation_failed for a body that cannot be translated.
result<outgoing_request> make_request(const exchange& ex, const service& to, std::string body,
                                      const std::string& key);

} // namespace sandy::http::platform
