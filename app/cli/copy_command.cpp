#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/text.hpp"
#include "messages/ids.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

namespace sandy::cli {

namespace {

using runtime::unique_fd;

constexpr std::size_t piece_bytes = 256 * 1024;

caf::error failure(const std::string& what, const std::string& path) {
  return fail(errc::internal, "Cannot " + what + " " + path + ": " + std::strerror(errno));
}

struct remote_path {
  std::string id, path;
  std::string target() const { return sandbox_path(id, "/files?path=" + percent_encoded(path)); }
};

/// "ID:PATH". Anything else is a local path, colons and all.
std::optional<remote_path> as_remote(const std::string& word) {
  auto colon = word.find(':');
  if (colon == std::string::npos || !is_sandbox_id(std::string_view(word).substr(0, colon)))
    return std::nullopt;
  return remote_path{word.substr(0, colon), word.substr(colon + 1)};
}

std::string last_name(const std::string& path) { return std::filesystem::path(path).filename(); }

result<int> upload(api_client& server, const std::string& from, remote_path to) {
  unique_fd opened;
  int source = STDIN_FILENO;
  if (from != "-") {
    opened = unique_fd(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened)
      return failure("read", from);
    source = opened.get();
  }
  struct stat status{};
  if (::fstat(source, &status) < 0)
    return failure("read", from);
  if (S_ISDIR(status.st_mode))
    return fail(errc::is_directory, from + " is a directory: only single files are copied");
  if (to.path.empty() || to.path.ends_with('/')) {
    if (from == "-")
      return fail(errc::invalid_argument, "Name the file to write in the sandbox");
    to.path += last_name(from);
  }
  std::optional<std::uint64_t> length;
  if (from != "-" && S_ISREG(status.st_mode))
    length = static_cast<std::uint64_t>(status.st_size);
  auto rest = length; // a file that grows meanwhile must not be sent beyond the length that was announced
  auto sent = server.upload(to.target(), length, [&]() -> result<std::string> {
    std::string piece(rest ? std::min<std::uint64_t>(*rest, piece_bytes) : piece_bytes, '\0');
    auto count = piece.empty() ? 0 : ::read(source, piece.data(), piece.size());
    if (count < 0)
      return failure("read", from);
    if (count == 0 && rest && *rest > 0)
      return fail(errc::internal, from + " became shorter while it was copied");
    piece.resize(static_cast<std::size_t>(count));
    if (rest)
      *rest -= static_cast<std::uint64_t>(count);
    return piece;
  });
  if (!sent)
    return std::move(sent.error());
  return 0;
}

/// A local file that appears when it is complete. Devices and pipes are written directly.
class local_target {
public:
  static result<local_target> open(const std::string& path) {
    struct stat status{};
    bool exists = ::stat(path.c_str(), &status) == 0;
    local_target target(path, exists && !S_ISREG(status.st_mode) ? path : path + ".sandy-part");
    target.file_ = unique_fd(::open(target.draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!target.file_)
      return failure("write", target.draft_);
    return target;
  }
  local_target(local_target&&) = default;
  local_target& operator=(local_target&&) = delete;
  ~local_target() {
    if (file_ && draft_ != path_)
      ::unlink(draft_.c_str());
  }

  int fd() const { return file_.get(); }
  result<void> commit() {
    if (draft_ != path_ && std::rename(draft_.c_str(), path_.c_str()) < 0)
      return failure("write", path_);
    file_.reset();
    return caf::unit;
  }

private:
  local_target(std::string path, std::string draft)
      : path_(std::move(path))
      , draft_(std::move(draft)) {}
  std::string path_, draft_;
  unique_fd file_; ///< open until committed
};

result<int> download(api_client& server, const remote_path& from, std::string to) {
  std::optional<local_target> target;
  if (to != "-") {
    std::error_code ignored;
    if (std::filesystem::is_directory(to, ignored))
      to = std::filesystem::path(to) / last_name(from.path);
    auto opened = local_target::open(to);
    if (!opened)
      return std::move(opened.error());
    target.emplace(std::move(*opened));
  }
  auto fd = target ? target->fd() : STDOUT_FILENO;
  auto read = server.download(from.target(), [fd](std::string_view bytes) { return write_all(fd, bytes); });
  if (read && target)
    read = target->commit();
  if (!read)
    return std::move(read.error());
  return 0;
}

} // namespace

result<int> execute(api_client& server, const copy_command& what) {
  auto from = as_remote(what.from), to = as_remote(what.to);
  if (from.has_value() == to.has_value())
    return fail(errc::invalid_argument, "One of the two must be ID:PATH, the other local");
  return to ? upload(server, what.from, std::move(*to)) : download(server, *from, what.to);
}

} // namespace sandy::cli
