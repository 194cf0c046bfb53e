#include "guest/paths.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sandy::guest {

int check_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.find('\0') != std::string_view::npos)
    return EINVAL;
  return path.size() < PATH_MAX ? 0 : ENAMETOOLONG;
}

int make_directories(const std::string& path, mode_t mode) {
  struct stat info{};
  if (::mkdir(path.c_str(), mode) == 0)
    return 0;
  if (errno == EEXIST)
    return ::stat(path.c_str(), &info) != 0 ? errno : S_ISDIR(info.st_mode) ? 0 : EEXIST;
  if (errno != ENOENT)
    return errno;
  // From the top, one part at a time; a part that appears meanwhile is as good as ours.
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    auto part = path.substr(0, end);
    bool last = end == std::string::npos;
    if (!part.empty() && ::mkdir(part.c_str(), last ? mode : 0755) != 0 && errno != EEXIST)
      return errno;
    if (last)
      break;
  }
  return ::stat(path.c_str(), &info) != 0 ? errno : S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

split_path split(std::string_view path) {
  while (path.size() > 1 && path.back() == '/')
    path.remove_suffix(1);
  auto slash = path.rfind('/');
  if (slash == std::string_view::npos)
    return {".", std::string{path}};
  return {std::string{path.substr(0, slash == 0 ? 1 : slash)}, std::string{path.substr(slash + 1)}};
}

unique_fd open_directory(const std::string& path) {
  return unique_fd{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

entry describe(std::string path, const struct stat& info) {
  entry out;
  out.path = std::move(path);
  out.kind = S_ISREG(info.st_mode)   ? entry_kind::regular
             : S_ISDIR(info.st_mode) ? entry_kind::directory
             : S_ISLNK(info.st_mode) ? entry_kind::symlink
                                     : entry_kind::other;
  out.size = static_cast<std::uint64_t>(info.st_size);
  out.mode = info.st_mode & 07777;
  out.modified_at_ms =
      static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  return out;
}

std::string read_link(int directory_fd, const char* name) {
  std::string target(PATH_MAX, '\0');
  auto count = ::readlinkat(directory_fd, name, target.data(), target.size());
  target.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return target;
}

std::string hidden_name(char mark) {
  unsigned char random[8] = {};
  // Early boot aside the source never fails; were it to, O_EXCL still refuses a name that is taken.
  [[maybe_unused]] auto got = ::getrandom(random, sizeof random, 0);
  std::string name{hidden_prefix};
  name += mark;
  for (auto byte : random) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  return name;
}

} // namespace sandy::guest
