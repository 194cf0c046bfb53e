#pragma once

#include "messages/error.hpp"
#include "runtime/process.hpp"

#include <string>

namespace sandy::runtime {

/// Removes a tree of files, and nothing that is mounted in it. Trees of strangers are as deep as they like,
/// which std::filesystem::remove_all needs a descriptor per level for: rm(1) knows how. Fine when there is
/// none. Blocking. Fails with internal when something of it is left; then the next try goes on.
result<void> remove_tree(const std::string& path, steady_time deadline);

} // namespace sandy::runtime
