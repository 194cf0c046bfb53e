#pragma once

#include "actors/services.hpp"
#include "messages/container.hpp"
#include "runtime/driver.hpp"
#include "store/store.hpp"

namespace sandy {

/// What a container is to run: what its image says, with what was ordered, in an environment where it finds
/// the platform (README of the room; docs/containers.md has the list).
/// @param identity what programs of the sandbox find of the API, its token among it
/// Fails with invalid_argument when nobody says what is to run.
result<container_program> program_for(const container_order& order, const runtime::image_program& image,
                                      std::uint16_t port, const container_defaults& defaults,
                                      const environment& identity);

} // namespace sandy
