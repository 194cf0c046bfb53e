#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy::runtime::oci {

/// Locks this process up for good: `directory` becomes its root directory, where nothing can be executed and
/// no device opened; it has no network, only the rights that unpacking takes, and cannot mount, start
/// programs or trace others. Needs root. Fails with internal.
result<void> confine(const std::string& directory);

} // namespace sandy::runtime::oci
