#pragma once

#include "http/relay/relayed.hpp"

namespace sandy::http::egress {

/// Serves what one sandbox says to the platform's names. Lives on the thread of the sandbox's gate;
/// destroying it closes what it serves.
class platform_door {
public:
  virtual ~platform_door() = default;
  /// A connection to the platform's address and port, which the sandbox's policy allows.
  virtual void take(relay::socket client) = 0;
  /// Closes the connections that there are: the policy allows them no more.
  virtual void cut() = 0;
};

} // namespace sandy::http::egress
