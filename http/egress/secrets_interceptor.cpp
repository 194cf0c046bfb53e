#include "http/egress/secrets_interceptor.hpp"

#include "http/egress/intercepted_connection.hpp"
#include "metrics/log.hpp"
#include "metrics/network_metrics.hpp"

namespace sandy::http::egress {

secrets_interceptor::secrets_interceptor(std::shared_ptr<interception> secrets,
                                         std::shared_ptr<tls_sides> tls, metrics::network_metrics& numbers,
                                         std::string label)
    : secrets_(std::move(secrets))
    , tls_(std::move(tls))
    , numbers_(numbers)
    , label_(std::move(label)) {}

bool secrets_interceptor::wants(std::string_view host, std::uint16_t port, bool tls) const noexcept {
  return secrets_->wants(host, port, tls);
}

bool secrets_interceptor::may_want(std::uint16_t port) const noexcept { return secrets_->may_want(port); }

io_task<void> secrets_interceptor::relay(interceptable what) {
  const auto host = what.host;
  intercepted_connection connection{what.pair,
                                    secrets_,
                                    what.tls ? tls_ : nullptr,
                                    std::move(what.host),
                                    what.port,
                                    std::move(what.begun),
                                    what.pair->sent,
                                    what.pair->received};
  auto outcome = co_await relay_with_secrets(std::move(connection));
  numbers_.requests_with_secrets(outcome.requests_with_secrets);
  // A sandbox can be refused as often as it likes: that is for whoever looks for it.
  if (outcome.refused)
    log_event(log_level::debug, "request_refused",
              {{"sandbox_id", label_}, {"host", host}, {"what", text_of(*outcome.refused)}});
}

} // namespace sandy::http::egress
