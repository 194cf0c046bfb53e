#pragma once

#include "http/egress/interception.hpp"
#include "http/egress/interceptor.hpp"

#include <memory>
#include <string>

namespace sandy::metrics {
class network_metrics;
}

namespace sandy::http::egress {

/// Puts the secrets of one sandbox into requests that go through its gate.
class secrets_interceptor final : public interceptor {
public:
  /// @param label names the sandbox in the log.
  secrets_interceptor(std::shared_ptr<interception> secrets, std::shared_ptr<tls_sides> tls,
                      metrics::network_metrics& numbers, std::string label);

  bool wants(std::string_view host, std::uint16_t port, bool tls) const noexcept override;
  bool may_want(std::uint16_t port) const noexcept override;
  io_task<void> relay(interceptable what) override;

private:
  std::shared_ptr<interception> secrets_;
  std::shared_ptr<tls_sides> tls_;
  metrics::network_metrics& numbers_;
  std::string label_;
};

} // namespace sandy::http::egress
