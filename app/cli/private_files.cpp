#include "app/cli/private_files.hpp"

#include "app/cli/output.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sandy::cli {

namespace {

using runtime::unique_fd;

caf::error failure(const std::string& what, const std::string& path) {
  auto code = errno == EEXIST ? errc::file_exists : errc::internal;
  return fail(code, "Cannot " + what + " " + path + ": " + std::strerror(errno));
}

result<void> write_draft(const unique_fd& file, const std::string& content, const std::string& path) {
  if (auto written = write_all(file.get(), content); !written)
    return fail(errc::internal, "Cannot write " + path + ": " + text_of(written.error()));
  if (::fsync(file.get()) < 0)
    return failure("write", path);
  return caf::unit;
}

result<void> write_private_file(const std::string& path, const std::string& content) {
  // A name of its own: neither another call nor what a killed one left behind is in the way.
  auto draft = path + ".XXXXXX";
  unique_fd file(::mkostemp(draft.data(), O_CLOEXEC)); // mode 0600
  if (!file)
    return failure("make", path);
  auto done = write_draft(file, content, path);
  // Unlike rename(2), link(2) replaces nothing, also when somebody else makes the file just now.
  if (done && ::link(draft.c_str(), path.c_str()) < 0)
    done = failure("make", path);
  ::unlink(draft.c_str());
  return done;
}

} // namespace

result<bool> name_taken(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0)
    return true;
  if (errno == ENOENT)
    return false;
  return failure("look at", path);
}

result<std::string> read_file(const std::string& path) {
  unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return failure("read", path);
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    auto count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0)
      return failure("read", path);
    if (count == 0)
      return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

result<void> write_private_files(const std::vector<new_file>& files) {
  for (auto file = files.begin(); file != files.end(); ++file) {
    auto written = write_private_file(file->first, file->second);
    if (written)
      continue;
    while (file != files.begin())
      ::unlink((--file)->first.c_str());
    return written;
  }
  return caf::unit;
}

} // namespace sandy::cli
