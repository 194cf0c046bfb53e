#include "app/setting_kinds.hpp"

namespace sandy {

void add_network_settings(std::vector<setting>& all) {
  using std::chrono::milliseconds, std::chrono::seconds;
  auto group = std::string_view("Connections");
  all.push_back(make<count_kind<0>>("sandbox_connections", group, FIELD(worker.max_connections),
                                    "Other sandboxes that one sandbox reaches, at most; 0 means none"));

  group = "Network";
  all.push_back(make<network_mode_kind>("network", group, FIELD(worker.default_network),
                                        "What a sandbox reaches that asks for nothing: none (this API), "
                                        "platform (what the installation relays, "
                                        "too) or internet"));
  all.push_back(make<network_mode_kind>("network_max_mode", group, FIELD(worker.max_network),
                                        "Most that any sandbox reaches, whatever it asks for"));
  all.push_back(make<destinations_kind>(
      "network_allow", group, FIELD(network_allow),
      "Destinations that sandboxes may reach, such as *.example.com:443 or 93.184.0.0/16; empty means "
      "everything public"));
  all.push_back(make<destinations_kind>("network_deny", group, FIELD(network_deny),
                                        "Destinations that no sandbox reaches, whatever else is allowed"));
  all.push_back(make<addresses_kind>(
      "network_private_allow", group, FIELD(network_private_allow),
      "Addresses that are not public and may be reached nevertheless, such as those of a mirror inside"));
  all.push_back(
      make<servers_kind>("network_dns", group, FIELD(network_dns),
                         "Name servers that are asked for sandboxes; empty means those of /etc/resolv.conf"));
  all.push_back(make<text_kind>(
      "platform_relay", group, FIELD(platform_relay),
      "IP:PORT that sandboxes reach as platform-proxy:8000 and platform:8000; empty means none"));
  all.push_back(make<boolean_kind>("platform_relay_named", group, FIELD(platform_relay_named),
                                   "Tell platform_relay which sandbox calls: its connections begin with a "
                                   "PROXY protocol header (version 2)"));
  all.push_back(make<text_kind>("network_ca_file", group, FIELD(network_ca_file),
                                "File of certificate authorities (PEM) that hosts of secrets are trusted by "
                                "besides the machine's; empty means none"));

  group = "Platform services";
  all.push_back(
      make<boolean_kind>("platform_exec", group, FIELD(platform.exec),
                         "Offer /sandbox/exec, which runs code in a child of the sandbox that asks"));
  all.push_back(
      make<limit_kind>("platform_max_requests", group, FIELD(platform.limits.requests),
                       "Requests that a sandbox, with its descendants, may send to the services; here and "
                       "below, 0 means no limit"));
  all.push_back(make<limit_kind>("platform_max_tokens", group, FIELD(platform.limits.tokens),
                                 "Tokens that it may use"));
  all.push_back(make<amount_kind>("platform_max_cost", group, FIELD(platform.limits.cost),
                                  "What it may cost, in the currency of the prices"));
  all.push_back(
      make<count_kind<1>>("platform_breaker_failures", group, FIELD(platform.breaker_failures),
                          "Failures of a service, one after the other, after which nothing is sent to it for "
                          "a while"));
  all.push_back(make<timeout_kind>("platform_breaker_pause", group, FIELD(platform.breaker_pause),
                                   "Until one request may try it again"));
}

} // namespace sandy
