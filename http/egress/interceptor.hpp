#pragma once

#include "http/relay/relayed.hpp"
#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sandy::http::egress {

/// A connection that goes through a gate, and is for somebody who wants to see what is said on it.
struct interceptable {
  std::shared_ptr<relay::relayed> pair; ///< both sides connected; counts what is sent and received
  std::string host;                     ///< canonical; without TLS the address is one that DNS gives for it
  std::uint16_t port = 0;
  bool tls = false;  ///< else plain HTTP
  std::string begun; ///< what was read from the near side already
};

/// Relays connections to some hosts in place of a gate. Used on the gate's thread.
class interceptor {
public:
  virtual ~interceptor() = default;

  /// Whether it is for this one. @param host canonical
  virtual bool wants(std::string_view host, std::uint16_t port, bool tls) const noexcept = 0;
  /// Whether it may be for one to that port: then its client is expected to begin.
  virtual bool may_want(std::uint16_t port) const noexcept = 0;
  /// Relays it until it is over.
  virtual io_task<void> relay(interceptable what) = 0;
};

} // namespace sandy::http::egress
