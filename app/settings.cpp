#include "app/settings.hpp"

#include "app/setting_kinds.hpp"

#include <algorithm>
#include <cctype>

namespace sandy {

std::string setting::flag() const {
  std::string text = "--" + std::string(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

std::string setting::variable() const {
  std::string text = "SANDY_" + std::string(name);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

const std::vector<setting>& settings() {
  static const auto all = [] {
    std::vector<setting> made;
    add_server_settings(made);
    add_cluster_settings(made);
    add_sandbox_settings(made);
    add_network_settings(made);
    add_service_settings(made);
    return made;
  }();
  return all;
}

const setting* find_setting(std::string_view name) {
  const auto& all = settings();
  auto found = std::find_if(all.begin(), all.end(), [name](const setting& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

} // namespace sandy
