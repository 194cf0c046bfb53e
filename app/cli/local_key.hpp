#pragma once

#include <string>

namespace sandy::cli {

/// The key that a server of this machine made for itself (`<data_dir>/api_key`). Empty when there is none
/// that we may read.
std::string local_key(const std::string& data_dir);

} // namespace sandy::cli
