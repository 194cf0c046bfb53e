#pragma once

#include "messages/error.hpp"

#include <string>
#include <utility>
#include <vector>

namespace sandy::cli {

// Files with keys in them. All block, and fail with internal (what could not be done, and why).

/// Whether something has this name, also a link that leads nowhere.
result<bool> name_taken(const std::string& path);

result<std::string> read_file(const std::string& path);

/// Path and content.
using new_file = std::pair<std::string, std::string>;

/// Writes files that their owner alone may read, all of them or none. Each appears when it is complete and on
/// the disk, and only under a name that nothing has yet: else it fails with file_exists.
result<void> write_private_files(const std::vector<new_file>& files);

} // namespace sandy::cli
