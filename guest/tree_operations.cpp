#include "guest/file_operations.hpp"
#include "guest/paths.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace sandy::guest {
namespace {

/// Entries looked at in one turn: some hundred microseconds of work.
constexpr int entries_per_turn = 256;

/// Owns an open directory listing.
class directory_reader {
public:
  directory_reader() = default;
  /// Takes the descriptor. Check `ok`.
  explicit directory_reader(unique_fd fd)
      : handle_(fd ? ::fdopendir(fd.get()) : nullptr) {
    if (handle_) [[maybe_unused]]
      int taken = fd.release();
  }
  directory_reader(directory_reader&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  directory_reader& operator=(directory_reader&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~directory_reader() {
    if (handle_)
      ::closedir(handle_);
  }
  bool ok() const noexcept { return handle_ != nullptr; }
  int fd() const noexcept { return ::dirfd(handle_); }
  void rewind() noexcept { ::rewinddir(handle_); }
  /// The next entry but "." and "..". nullptr at the end, with errno 0, or on an error.
  const dirent* next() {
    for (;;) {
      errno = 0;
      auto* item = ::readdir(handle_);
      if (!item)
        return nullptr;
      std::string_view name = item->d_name;
      if (name != "." && name != "..")
        return item;
    }
  }

private:
  DIR* handle_ = nullptr;
};

unique_fd open_listing(int parent, const char* name, int extra_flags = 0) {
  return unique_fd{::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | extra_flags)};
}

/// Sends what is in a directory, and below it. Links are told, not followed.
class list_operation final : public operation {
public:
  list_operation(connection& link, directory_reader root, const list_request& request)
      : operation(link)
      , root_(std::move(root))
      , request_(request)
      , pending_{""} {
    link_.again();
  }

  void on_writable() override { link_.again(); }

  void on_turn() override {
    for (int i = 0; i < entries_per_turn && link_.has_room(); ++i)
      if (!step())
        return;
    link_.flush();
    if (link_.has_room())
      link_.again();
  }

private:
  /// Handles one entry. @return false when the listing is over.
  bool step() {
    if (!current_.ok() && !open_next())
      return false;
    auto* item = current_.next();
    if (!item && errno != 0) {
      fail_file(link_, errno, request_.path);
      return false;
    }
    if (!item) {
      current_ = directory_reader{};
      return true;
    }
    struct stat info{};
    if (::fstatat(current_.fd(), item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
      return true; // gone since the directory was read
    std::string_view name = item->d_name;
    bool directory = S_ISDIR(info.st_mode);
    if (name.starts_with(hidden_prefix) || (directory && request_.skip_dependencies && is_dependency(name)))
      return true;
    if (sent_++ >= request_.max_entries) {
      link_.fail(failure_kind::too_many, 0, "The directory has too many entries");
      return false;
    }
    auto found = describe(prefix_ + item->d_name, info);
    if (S_ISLNK(info.st_mode))
      found.target = read_link(current_.fd(), item->d_name);
    // What is too deep to have a path cannot be asked for either.
    if (directory && request_.recursive && request_.path.size() + found.path.size() + 2 < PATH_MAX)
      pending_.push_back(found.path);
    link_.queue(found);
    return true;
  }

  bool open_next() {
    while (!pending_.empty()) {
      auto path = std::move(pending_.back());
      pending_.pop_back();
      auto fd =
          path.empty() ? open_listing(root_.fd(), ".") : open_listing(root_.fd(), path.c_str(), O_NOFOLLOW);
      if (!fd && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES))
        continue; // changed since, or closed to us: its own entry was told
      current_ = directory_reader{std::move(fd)};
      if (!current_.ok()) {
        fail_file(link_, errno, request_.path);
        return false;
      }
      prefix_ = path.empty() ? path : path + '/';
      return true;
    }
    link_.succeed();
    return false;
  }

  directory_reader root_, current_;
  list_request request_;
  std::vector<std::string> pending_; ///< directories still to read, relative to the root
  std::string prefix_;
  std::uint64_t sent_ = 0;
};

/// Removes a directory and everything in it. Walks with descriptors, one directory open at a time, so that
/// neither depth nor a directory that is swapped for a link leads astray.
class remove_operation final : public operation {
public:
  remove_operation(connection& link, unique_fd parent, std::string name, directory_reader top,
                   std::string path)
      : operation(link)
      , parent_(std::move(parent))
      , name_(std::move(name))
      , current_(std::move(top))
      , path_(std::move(path)) {
    link_.again();
  }

  void on_turn() override {
    for (int i = 0; i < entries_per_turn; ++i)
      if (!step())
        return;
    link_.again();
  }

private:
  struct level {
    std::string name; ///< of the directory we went into
    dev_t device;     ///< of the directory we came from, to be sure that ".." leads back to it
    ino_t inode;
  };

  bool stop(int error) {
    fail_file(link_, error, path_);
    return false;
  }

  /// @return false when it is over.
  bool step() {
    auto* item = current_.next();
    if (!item)
      return errno != 0 ? stop(errno) : go_up();
    if (::unlinkat(current_.fd(), item->d_name, 0) == 0 || errno == ENOENT)
      return true;
    if (errno != EISDIR && errno != EPERM)
      return stop(errno);
    if (::unlinkat(current_.fd(), item->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
      return true;
    if (errno != ENOTEMPTY && errno != EEXIST)
      return stop(errno);
    return go_down(item->d_name);
  }

  bool go_down(const char* name) {
    struct stat here{};
    if (::fstat(current_.fd(), &here) != 0)
      return stop(errno);
    levels_.push_back({name, here.st_dev, here.st_ino});
    return enter(open_listing(current_.fd(), name, O_NOFOLLOW));
  }

  bool go_up() {
    if (levels_.empty()) {
      if (::unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
        link_.succeed();
        return false;
      }
      if (errno != ENOTEMPTY)
        return stop(errno);
      current_.rewind(); // somebody creates files as we remove them
      return true;
    }
    auto below = std::move(levels_.back());
    levels_.pop_back();
    if (!enter(open_listing(current_.fd(), "..")))
      return false;
    struct stat here{};
    if (::fstat(current_.fd(), &here) != 0 || here.st_dev != below.device || here.st_ino != below.inode)
      return stop(EAGAIN); // moved elsewhere while we were in it: nothing there is ours to remove
    if (::unlinkat(current_.fd(), below.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT &&
        errno != ENOTEMPTY)
      return stop(errno);
    return true; // what was added meanwhile is found by reading the directory again, which `enter` began
  }

  bool enter(unique_fd fd) {
    directory_reader next{std::move(fd)};
    if (!next.ok())
      return stop(errno);
    current_ = std::move(next);
    return true;
  }

  unique_fd parent_;
  std::string name_;
  directory_reader current_;
  std::string path_;
  std::vector<level> levels_;
};

} // namespace

std::unique_ptr<operation> start_list(connection& link, const list_request& request) {
  int error = check_path(request.path);
  directory_reader root;
  if (error == 0) {
    root = directory_reader{open_listing(AT_FDCWD, request.path.c_str())};
    error = root.ok() ? 0 : errno;
  }
  if (error != 0) {
    fail_file(link, error, request.path);
    return nullptr;
  }
  return std::make_unique<list_operation>(link, std::move(root), request);
}

std::unique_ptr<operation> start_remove(connection& link, const remove_request& request) {
  auto refuse = [&](int error) {
    fail_file(link, error, request.path);
    return nullptr;
  };
  if (int error = check_path(request.path); error != 0)
    return refuse(error);
  auto place = split(request.path);
  if (place.name.empty() || place.name == "." || place.name == "..")
    return refuse(EBUSY);
  auto parent = open_directory(place.directory);
  struct stat info{};
  if (!parent || ::fstatat(parent.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return refuse(errno);
  bool directory = S_ISDIR(info.st_mode);
  if (::unlinkat(parent.get(), place.name.c_str(), directory ? AT_REMOVEDIR : 0) == 0) {
    link.succeed();
    return nullptr;
  }
  if (!directory || !request.recursive || (errno != ENOTEMPTY && errno != EEXIST))
    return refuse(errno);
  directory_reader top{open_listing(parent.get(), place.name.c_str(), O_NOFOLLOW)};
  if (!top.ok())
    return refuse(errno);
  return std::make_unique<remove_operation>(link, std::move(parent), std::move(place.name), std::move(top),
                                            request.path);
}

} // namespace sandy::guest
