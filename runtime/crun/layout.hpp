#pragma once

#include <cstdint>

namespace sandy::runtime {

/// How many ids a sandbox has.
inline constexpr std::uint32_t ids_per_sandbox = 65'536;

/// Layers that a sandbox's file system may be stacked from, above its image.
inline constexpr int most_layers = 64;

/// Trees that an image itself may be stacked from: as many as engines that make images allow. With the layers
/// above it they are far fewer than the kernel's 500 lower directories, and their names fit into the page
/// that mount(2) takes options in.
inline constexpr int most_image_trees = 128;
/// Containers that one sandbox may have.
inline constexpr int most_containers = 4;

inline constexpr int most_trees = most_image_trees + most_layers;

} // namespace sandy::runtime
