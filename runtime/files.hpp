#pragma once

#include "messages/error.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::runtime {

/// The content of a small file, at most `limit` bytes of it; nothing when it cannot be read. May block on
/// disk.
std::optional<std::string> read_small_file(const std::string& path, std::size_t limit = 64 * 1024);

/// Writes to a file that exists, in one write(2), as control files of the kernel want it. Returns 0 or the
/// errno.
int write_control_file(const std::string& path, std::string_view text) noexcept;

/// Creates a file (mode 0600) or replaces its content. Not atomic.
result<void> write_new_file(const std::string& path, std::string_view text);

/// Names in a directory without "." and ".."; empty when it does not exist.
std::vector<std::string> names_in(const std::string& directory);

/// The names of the directories among them.
std::vector<std::string> directories_in(const std::string& directory);

} // namespace sandy::runtime
