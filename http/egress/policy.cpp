#include "http/egress/policy.hpp"

#include <algorithm>

namespace sandy::http::egress {

namespace {

std::vector<network_rule> usable(const std::vector<std::string>& texts, bool& all_good) {
  std::vector<network_rule> rules;
  for (const auto& text : texts) {
    auto rule = parse_network_rule(text);
    all_good = all_good && rule;
    if (rule)
      rules.push_back(std::move(*rule));
  }
  return rules;
}

template <class What>
bool any_matches(const std::vector<network_rule>& rules, const What& what, std::uint16_t port) {
  return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) { return rule.matches(what, port); });
}

bool whole_port_range(const network_rule& rule) { return rule.first_port <= 1 && rule.last_port == 65535; }

} // namespace

policy::policy(const std::vector<network_policy>& all_of) {
  mode_ = all_of.empty() ? network_mode::none : network_mode::internet;
  for (const auto& each : all_of) {
    mode_ = std::min(mode_, each.mode);
    if (each.max_bytes != 0 && (max_bytes_ == 0 || each.max_bytes < max_bytes_))
      max_bytes_ = each.max_bytes;
    layer made;
    bool good = true, all_denials_good = true;
    made.allow = usable(each.allow, good);
    made.deny = usable(each.deny, all_denials_good);
    made.limited = !each.allow.empty();
    made.denies_all = !all_denials_good;
    for (const auto* list : {&made.allow, &made.deny})
      made.has_names = made.has_names || std::any_of(list->begin(), list->end(),
                                                     [](const auto& rule) { return rule.by_name(); });
    has_names_ = has_names_ || made.has_names;
    layers_.push_back(std::move(made));
  }
}

refusal policy::judge_name(std::string_view name) const {
  if (mode_ != network_mode::internet)
    return refusal::mode;
  auto named = [&](const network_rule& rule) { return rule.matches(name, rule.first_port); };
  for (const auto& each : layers_) {
    if (each.denies_all || std::any_of(each.deny.begin(), each.deny.end(), [&](const auto& rule) {
          return named(rule) && whole_port_range(rule);
        }))
      return refusal::denied;
    // Also when addresses are listed only: whoever owns a name may say anything in the answer for it.
    if (each.limited && std::none_of(each.allow.begin(), each.allow.end(), named))
      return refusal::not_named;
  }
  return refusal::none;
}

refusal policy::judge_address(const destination& to) const {
  if (mode_ != network_mode::internet)
    return refusal::mode;
  for (const auto& each : layers_) {
    if (each.denies_all || any_matches(each.deny, to.address, to.port))
      return refusal::denied;
    const auto no_name_helps = std::none_of(each.allow.begin(), each.allow.end(), [&](const auto& rule) {
      return rule.by_name() && rule.has_port(to.port);
    });
    if (each.limited && no_name_helps && !any_matches(each.allow, to.address, to.port))
      return refusal::not_named;
  }
  return refusal::none;
}

bool policy::allows_address(const destination& to) const {
  return std::all_of(layers_.begin(), layers_.end(), [&](const layer& each) {
    return !each.has_names || any_matches(each.allow, to.address, to.port);
  });
}

refusal policy::judge_as(const destination& to, const std::string* name) const {
  for (const auto& each : layers_) {
    const auto by_address = any_matches(each.allow, to.address, to.port);
    if (name != nullptr && any_matches(each.deny, *name, to.port))
      return refusal::denied;
    if (name == nullptr && !by_address && each.has_names)
      return refusal::not_named;
    if (each.limited && !by_address && (name == nullptr || !any_matches(each.allow, *name, to.port)))
      return refusal::not_named;
  }
  return refusal::none;
}

refusal policy::judge(const destination& to, const std::optional<std::string>& name,
                      const std::vector<std::string>& known) const {
  if (auto why = judge_address(to); why != refusal::none)
    return why;
  if (name)
    return judge_as(to, &*name);
  auto why = judge_as(to, nullptr);
  for (const auto& each : known) {
    if (why == refusal::none)
      break;
    why = judge_as(to, &each);
  }
  return why;
}

} // namespace sandy::http::egress
