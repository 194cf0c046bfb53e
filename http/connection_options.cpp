#include "http/connection_options.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <span>

namespace sandy::http {

namespace {

std::string_view trimmed(std::string_view text) noexcept {
  auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

} // namespace

bool connection_options::add(std::string_view list) noexcept {
  while (!list.empty()) {
    auto end = std::min(list.find(','), list.size());
    auto member = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (member.empty() || name(member))
      continue;
    if (count_ == most)
      return false;
    members_[count_++] = member;
  }
  return true;
}

bool connection_options::name(std::string_view option) const noexcept {
  return std::ranges::any_of(std::span{members_}.first(count_),
                             [&](auto each) { return boost::beast::iequals(each, option); });
}

} // namespace sandy::http
