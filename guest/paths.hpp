#pragma once

#include "guest/protocol.hpp"
#include "runtime/unique_fd.hpp"

#include <sys/types.h>

#include <string>
#include <string_view>

struct stat;

namespace sandy::guest {

using runtime::unique_fd;

/// Whether a path can be worked on: absolute, without a NUL byte, shorter than PATH_MAX. @return errno, 0 for
/// success.
int check_path(std::string_view path);

/// Makes a directory and those above it. One that exists already is success. @return errno, 0 for success.
int make_directories(const std::string& path, mode_t mode);

/// A path cut into the directory that holds its last part, and that part. Ignores slashes at the end.
struct split_path {
  std::string directory;
  std::string name; ///< empty for "/"; may be "." or ".."
};
split_path split(std::string_view path);

/// Opens the directory of a path, for use with the *at calls. -1 with errno.
unique_fd open_directory(const std::string& path);

/// Describes a file from what the kernel says of it.
entry describe(std::string path, const struct stat& info);

/// Reads where a symbolic link points to. Empty when it cannot be read.
std::string read_link(int directory_fd, const char* name);

/// A name that nothing else has; for files that are not complete yet. They begin with `hidden_prefix`.
std::string hidden_name(char mark);
inline constexpr std::string_view hidden_prefix = ".sandy-partial-";

/// Whether a directory of this name holds what tools put there: many files that people do not look at.
constexpr bool is_dependency(std::string_view name) noexcept {
  return name == "node_modules" || name == ".git";
}

} // namespace sandy::guest
