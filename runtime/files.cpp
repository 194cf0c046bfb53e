#include "runtime/files.hpp"

#include "runtime/system_failure.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>

#include <filesystem>
#include <system_error>

namespace sandy::runtime {

namespace {

template <class Predicate>
std::vector<std::string> list(const std::string& directory, Predicate wanted) {
  std::vector<std::string> names;
  std::error_code ignored; // a directory that is not there has no names in it
  for (std::filesystem::directory_iterator at{directory, ignored}, end; at != end; at.increment(ignored)) {
    if (wanted(*at))
      names.push_back(at->path().filename().string());
    if (ignored)
      break;
  }
  return names;
}

} // namespace

std::optional<std::string> read_small_file(const std::string& path, std::size_t limit) {
  unique_fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file)
    return std::nullopt;
  std::string content;
  while (content.size() < limit) {
    auto old_size = content.size();
    content.resize(std::min(limit, old_size + 4096));
    auto count = ::read(file.get(), content.data() + old_size, content.size() - old_size);
    if (count < 0 && errno == EINTR)
      count = 0;
    else if (count < 0)
      return std::nullopt;
    else if (count == 0) {
      content.resize(old_size);
      break;
    }
    content.resize(old_size + static_cast<std::size_t>(count));
  }
  return content;
}

int write_control_file(const std::string& path, std::string_view text) noexcept {
  unique_fd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file)
    return errno;
  ssize_t count = 0;
  do
    count = ::write(file.get(), text.data(), text.size());
  while (count < 0 && errno == EINTR);
  return count < 0 ? errno : 0;
}

result<void> write_new_file(const std::string& path, std::string_view text) {
  unique_fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file)
    return system_failure("cannot create a state file");
  while (!text.empty()) {
    auto count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno != EINTR)
      return system_failure("cannot write a state file");
    if (count > 0)
      text.remove_prefix(static_cast<std::size_t>(count));
  }
  return caf::unit;
}

std::vector<std::string> names_in(const std::string& directory) {
  return list(directory, [](const auto&) { return true; });
}

std::vector<std::string> directories_in(const std::string& directory) {
  return list(directory, [](const std::filesystem::directory_entry& entry) {
    std::error_code ignored;
    return entry.is_directory(ignored) && !entry.is_symlink(ignored);
  });
}

} // namespace sandy::runtime
