#include "messages/events.hpp"

#include <array>

namespace sandy {

namespace {

constexpr std::array<std::string_view, life_event_types> names{
    "sandbox.created", "sandbox.renewed", "sandbox.ending",  "sandbox.failed",
    "sandbox.ended",   "sandbox.paused",  "sandbox.resumed", "sandbox.network_spent"};

} // namespace

std::string to_string(life_event_type type) { return std::string{names.at(static_cast<std::size_t>(type))}; }

std::optional<life_event_type> life_event_type_of(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name)
      return static_cast<life_event_type>(i);
  return std::nullopt;
}

} // namespace sandy
