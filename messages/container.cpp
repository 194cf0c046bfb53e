#include "messages/container.hpp"

#include <algorithm>

namespace sandy {

namespace {

constexpr std::string_view prefix = "ct-";
constexpr std::size_t digits = 21; // as long as a sandbox's id, because a path of a socket has to hold it

} // namespace

container_id make_container_id() { return {std::string{prefix} + make_sandbox_id().value.substr(0, digits)}; }

bool is_container_id(std::string_view text) noexcept {
  return text.size() == prefix.size() + digits && text.starts_with(prefix) &&
         std::all_of(text.begin() + prefix.size(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string to_string(container_status status) {
  switch (status) {
  case container_status::creating:
    return "creating";
  case container_status::running:
    return "running";
  case container_status::restarting:
    return "restarting";
  case container_status::stopping:
    return "stopping";
  case container_status::exited:
    return "exited";
  }
  return "unknown";
}

std::string to_string(container_health health) {
  switch (health) {
  case container_health::none:
    return "none";
  case container_health::starting:
    return "starting";
  case container_health::healthy:
    return "healthy";
  case container_health::unhealthy:
    return "unhealthy";
  }
  return "unknown";
}

std::string to_string(restart_policy policy) {
  switch (policy) {
  case restart_policy::never:
    return "no";
  case restart_policy::on_failure:
    return "on-failure";
  case restart_policy::always:
    return "always";
  }
  return "unknown";
}

} // namespace sandy
