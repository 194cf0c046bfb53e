#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sandy {

/// Why something of a sandbox's is not let out into the world. A closed set: labels of metrics and words of
/// the log.
enum class network_refusal : std::uint8_t {
  none,
  mode,       ///< the sandbox reaches nothing of that kind
  address,    ///< it is not public, or the machine's own
  denied,     ///< a list denies it
  not_named,  ///< no list of what is allowed has it
  wrong_host, ///< the name that was given does not belong to the address
  protocol,   ///< it cannot be understood well enough to be judged
  too_many,   ///< connections, or questions, at a time
  bytes       ///< the sandbox used up what it may transfer
};
inline constexpr std::size_t network_refusals = static_cast<std::size_t>(network_refusal::bytes) + 1;

std::string_view to_string(network_refusal why) noexcept; ///< "not_named"
/// The sentence for whoever is refused.
std::string_view sentence(network_refusal why) noexcept;

} // namespace sandy
