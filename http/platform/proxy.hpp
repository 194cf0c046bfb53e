#pragma once

#include "http/client/address.hpp"
#include "http/platform/breaker.hpp"
#include "http/platform/ledger.hpp"
#include "http/platform/settings.hpp"
#include "http/router.hpp"
#include "metrics/platform_metrics.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sandy::http::platform {

/// One configured service. Thread safe.
struct service {
  service(service_settings from, client::url where, std::uint32_t breaker_failures,
          std::chrono::milliseconds breaker_pause, metrics::platform_service_metrics& counted)
      : settings(std::move(from))
      , to(std::move(where))
      , guard(breaker_failures, breaker_pause)
      , numbers(counted) {}
  bool allows(std::string_view method) const;

  const service_settings settings;
  const client::url to;
  breaker guard;
  metrics::platform_service_metrics& numbers;
};

/// The platform's services, as sandboxes may use them, and what each of them used. Outlives the sessions;
/// thread safe.
class proxy {
public:
  /// Fails with invalid_argument.
  static result<std::unique_ptr<proxy>> make(settings all, metrics::platform_metrics& numbers);

  const settings& rules() const noexcept { return rules_; }
  /// What sandboxes are answered at the platform's names: these services, and the routes of sandboxes that
  /// the API has.
  const router& routes() const noexcept { return routes_; }
  /// nullptr: there is no service of that path.
  service* find(std::string_view path);
  ledger_table& ledgers() noexcept { return ledgers_; }
  metrics::platform_metrics& numbers() noexcept { return numbers_; }

  /// This sandbox brought a key of its own for services that take it; empty: the platform's again. Nothing
  /// happens for an unknown sandbox. Fails with invalid_argument for what no request can carry.
  result<void> use_key(const sandbox_id& id, std::string key);

  /// What tokens cost, in billionths. @param model that answered, and else the one that was asked for.
  std::uint64_t cost_of(std::uint64_t input, std::uint64_t output, std::string_view model,
                        std::string_view asked_for) const;

private:
  proxy(settings all, metrics::platform_metrics& numbers);

  const settings rules_;
  metrics::platform_metrics& numbers_;
  std::deque<service> services_;
  std::unordered_map<std::string_view, service*> by_path_; ///< views of the services' settings
  ledger_table ledgers_;
  router routes_;
};

/// Answers a request of a sandbox for a path of the proxy.
io_task<void> serve(exchange& ex);

} // namespace sandy::http::platform
