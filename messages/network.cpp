#include "messages/network.hpp"

#include "messages/network_refusal.hpp"
#include "messages/network_rule.hpp"

#include <algorithm>
#include <array>

namespace sandy {

namespace {

constexpr std::array<std::string_view, 4> mode_names{"none", "platform", "internet", "usual"};

constexpr std::array<std::string_view, network_refusals> refusal_names{
    "none", "mode", "address", "denied", "not_named", "wrong_host", "protocol", "too_many", "bytes"};

constexpr std::array<std::string_view, network_refusals> refusal_sentences{
    "",
    "This sandbox has no network of that kind",
    "This address is not public: sandboxes do not reach it",
    "The network policy denies this destination",
    "The network policy does not allow this destination",
    "The host that is named does not belong to the address that is connected to",
    "The network policy allows some names only, and this connection does not say clearly which it is for",
    "The sandbox has too many connections, or asks for too many names, at a time",
    "The sandbox used up what its network policy lets it transfer"};

/// Whether each of `these` is covered by one of `those`.
bool all_covered(const std::vector<network_rule>& these, const std::vector<network_rule>& those) {
  return std::all_of(these.begin(), these.end(), [&](const auto& each) {
    return std::any_of(those.begin(), those.end(), [&](const auto& wide) { return wide.covers(each); });
  });
}

} // namespace

std::string_view to_string(network_refusal why) noexcept {
  return refusal_names[static_cast<std::size_t>(why)];
}

std::string_view sentence(network_refusal why) noexcept {
  return refusal_sentences[static_cast<std::size_t>(why)];
}

std::string to_string(network_mode mode) {
  return std::string{mode_names.at(static_cast<std::size_t>(mode))};
}

std::optional<network_mode> network_mode_of(std::string_view name) {
  for (auto mode : {network_mode::none, network_mode::platform, network_mode::internet})
    if (name == mode_names.at(static_cast<std::size_t>(mode)))
      return mode;
  return std::nullopt;
}

result<void> check(const network_policy& policy) {
  for (const auto* list : {&policy.allow, &policy.deny}) {
    if (list->size() > most_network_rules)
      return fail(errc::invalid_argument,
                  "A list of destinations has at most " + std::to_string(most_network_rules) + " entries");
    if (auto rules = parse_network_rules(*list); !rules)
      return std::move(rules.error());
  }
  return caf::unit;
}

bool is_stricter_or_same(const network_policy& after, const network_policy& before) {
  if (after.mode > before.mode)
    return false;
  if (before.max_bytes != 0 && (after.max_bytes == 0 || after.max_bytes > before.max_bytes))
    return false;
  auto allowed = parse_network_rules(after.allow), allowed_before = parse_network_rules(before.allow);
  auto denied = parse_network_rules(after.deny), denied_before = parse_network_rules(before.deny);
  if (!allowed || !allowed_before || !denied || !denied_before)
    return false;
  if (!allowed_before->empty() && (allowed->empty() || !all_covered(*allowed, *allowed_before)))
    return false;
  return all_covered(*denied_before, *denied);
}

} // namespace sandy
