#pragma once

#include <cstdint>

namespace sandy::runtime {

/// How many ids a sandbox has.
inline constexpr std::uint32_t ids_per_sandbox = 65'536;

/// Layers that a sandbox's file system may be stacked from, above its image.
inline constexpr int most_layers = 64;

} // namespace sandy::runtime
