#include "http/egress/known_names.hpp"

#include <algorithm>

namespace sandy::http::egress {

void known_names::add(const network_address& address, const std::string& name, time_point until,
                      time_point now) {
  if (entries_.size() >= most_addresses && !entries_.contains(address)) {
    std::erase_if(entries_, [now](const auto& each) {
      return std::all_of(each.second.begin(), each.second.end(),
                         [now](const auto& known) { return known.until <= now; });
    });
    if (entries_.size() >= most_addresses) {
      auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        return a.second.back().until < b.second.back().until;
      });
      entries_.erase(oldest);
    }
  }
  auto& names = entries_[address];
  std::erase_if(names, [&](const auto& known) { return known.until <= now || known.name == name; });
  if (names.size() >= most_names)
    names.erase(names.begin());
  names.push_back({name, until});
}

std::vector<std::string> known_names::names_of(const network_address& address, time_point now) const {
  std::vector<std::string> names;
  if (auto found = entries_.find(address); found != entries_.end())
    for (const auto& each : found->second)
      if (each.until > now)
        names.push_back(each.name);
  return names;
}

bool known_names::has(const network_address& address, const std::string& name, time_point now) const {
  auto found = entries_.find(address);
  return found != entries_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const auto& each) { return each.name == name && each.until > now; });
}

} // namespace sandy::http::egress
