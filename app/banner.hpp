#pragma once

#include "app/config.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sandy {

/// What a person sees when the server is ready: its address, the key if we made it, and one command to paste
/// that runs code in a sandbox. The first line is for programs: "listening on http://127.0.0.1:7330".
/// @param made_key the key that we made; none: the operator configured one and knows it.
std::string banner(const config& settings, std::uint16_t port, const std::optional<std::string>& made_key);

} // namespace sandy
