#pragma once

#include <string>
#include <string_view>

namespace sandy::runtime {

/// Names what is one server's by its data directory: the same after a restart, another for every other
/// directory (FNV-1a, in hex).
std::string fingerprint(std::string_view data_dir);

} // namespace sandy::runtime
