#include "http/platform/proxy.hpp"

#include "http/routes/routes.hpp"

#include <algorithm>

namespace sandy::http::platform {

namespace {

/// Programs that know one address for everything use sandboxes through it, too. They need their token as
/// always.
std::vector<route> route_table() {
  std::vector<route> table;
  for (const auto& each : all_routes())
    if (each.pattern.starts_with("/api/sandboxes") || each.pattern.starts_with("/sandboxes"))
      table.push_back(each);
  table.push_back({any_method, "/{path...}", serve, true});
  return table;
}

} // namespace

bool service::allows(std::string_view method) const {
  return std::ranges::find(settings.methods, method) != settings.methods.end();
}

result<std::unique_ptr<proxy>> proxy::make(settings all, metrics::platform_metrics& numbers) {
  if (auto good = check(all); !good)
    return std::move(good.error());
  for (const auto& each : all.services)
    if (auto good = check(each); !good)
      return fail(errc::invalid_argument, "platform." + each.name + " " + text_of(good.error()));
  return std::unique_ptr<proxy>{new proxy(std::move(all), numbers)};
}

proxy::proxy(settings all, metrics::platform_metrics& numbers)
    : rules_(std::move(all))
    , numbers_(numbers)
    , routes_(route_table()) {
  for (const auto& each : rules_.services) {
    auto to = client::parse_url(each.target);
    auto& made = services_.emplace_back(each, std::move(*to), rules_.breaker_failures, rules_.breaker_pause,
                                        numbers_.service(each.name));
    by_path_.emplace(made.settings.path, &made);
    for (const auto& alias : made.settings.aliases)
      by_path_.emplace(alias, &made);
  }
}

service* proxy::find(std::string_view path) {
  auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

result<void> proxy::use_key(const sandbox_id& id, std::string key) {
  if (!is_plain(key))
    return fail(errc::invalid_argument, "The key has characters that no request can carry");
  if (auto account = ledgers_.find(id))
    account->set_key(std::move(key));
  return caf::unit;
}

std::uint64_t proxy::cost_of(std::uint64_t input, std::uint64_t output, std::string_view model,
                             std::string_view asked_for) const {
  for (auto name : {model, asked_for, std::string_view{"*"}})
    // A millionth for a million of tokens is a billionth of a thousandth for each.
    if (auto found = rules_.prices.find(std::string{name}); found != rules_.prices.end())
      return (input * found->second.input + output * found->second.output) / 1000;
  return 0;
}

} // namespace sandy::http::platform
