#include "http/egress/gates.hpp"

#include "metrics/log.hpp"

#include <stdexcept>

namespace sandy::http::egress {

namespace {

template <class T>
T good(result<T> value) {
  if (!value)
    throw std::invalid_argument(text_of(value.error()));
  return std::move(*value);
}

std::shared_ptr<surroundings> around_all(const network_settings& settings,
                                         metrics::network_metrics& numbers) {
  network_policy installation{settings.max_mode, settings.allow, settings.deny, 0};
  auto around = std::make_shared<surroundings>(
      std::move(installation), good(parse_network_rules(settings.private_allow)),
      good(name_servers(settings.name_servers)), settings.platform, settings.tls, numbers);
  around->platform_named = settings.platform_named;
  around->open_platform = settings.open_platform;
  return around;
}

} // namespace

surroundings::surroundings(network_policy installation_policy, std::vector<network_rule> opened,
                           std::vector<boost::asio::ip::udp::endpoint> servers,
                           std::optional<boost::asio::ip::tcp::endpoint> platform_place,
                           std::shared_ptr<tls_sides> tls_of_both, metrics::network_metrics& counted)
    : installation(std::move(installation_policy))
    , reachable(std::move(opened))
    , names(std::move(servers))
    , platform(platform_place)
    , tls(std::move(tls_of_both))
    , numbers(counted) {}

gates::gates(std::vector<boost::asio::io_context*> contexts, const network_settings& settings,
             metrics::network_metrics& numbers)
    : contexts_(std::move(contexts))
    , around_(around_all(settings, numbers)) {}

std::shared_ptr<runtime::network_gate> gates::open(runtime::network_capture captured, std::string label,
                                                   std::uint64_t used_bytes) {
  auto& home = *contexts_[next_.fetch_add(1, std::memory_order_relaxed) % contexts_.size()];
  auto made = gate::make(home, std::move(captured), label, used_bytes, around_);
  if (!made) {
    log_event(log_level::error, "gate_not_opened", {{"sandbox_id", label}, {"what", text_of(made.error())}});
    return nullptr;
  }
  (*made)->post([gate = *made] { gate->start(); });
  auto* address = made->get();
  return {address, [gate = std::move(*made)](runtime::network_gate*) mutable {
            auto& thread = *gate;
            thread.post([gate = std::move(gate)] { gate->close(); });
          }};
}

} // namespace sandy::http::egress
