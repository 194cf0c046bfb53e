#include "guest/base64.hpp"
#include "guest/file_operations.hpp"
#include "guest/paths.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits.h>

namespace sandy::guest {
namespace {

/// Where a file is to appear: its directory is held open, so that nobody can put another in its place
/// meanwhile.
struct target_place {
  unique_fd directory;
  std::string path, name;
  bool exists = false;
  struct stat info{};
};

/// Files of the kernel's own file systems are switches, not files: writing them is not what this is for.
bool is_kernel_file_system(const unique_fd& directory) {
  struct statfs info{};
  return ::fstatfs(directory.get(), &info) != 0 || info.f_type == PROC_SUPER_MAGIC ||
         info.f_type == SYSFS_MAGIC || info.f_type == CGROUP_SUPER_MAGIC ||
         info.f_type == CGROUP2_SUPER_MAGIC;
}

/// Follows symbolic links at the end of the path (like any program that writes a file) and makes missing
/// directories.
/// @return errno, 0 for success.
int find_place(std::string path, target_place& place) {
  for (int links = 0; links < 40; ++links) {
    if (int error = check_path(path); error != 0)
      return error;
    if (path.back() == '/')
      return EISDIR;
    auto parts = split(path);
    if (parts.name.empty() || parts.name == "." || parts.name == "..")
      return EISDIR;
    if (int error = make_directories(parts.directory, 0755); error != 0)
      return error == EEXIST ? ENOTDIR : error;
    place.directory = open_directory(parts.directory);
    if (!place.directory)
      return errno;
    place.path = path;
    place.name = parts.name;
    place.exists =
        ::fstatat(place.directory.get(), parts.name.c_str(), &place.info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!place.exists)
      return errno == ENOENT ? 0 : errno;
    if (S_ISDIR(place.info.st_mode))
      return EISDIR;
    if (!S_ISLNK(place.info.st_mode))
      return S_ISREG(place.info.st_mode) ? 0 : EINVAL;
    // The links of /proc are descriptors, not paths: what they say names nothing.
    if (is_kernel_file_system(place.directory))
      return EPERM;
    auto target = read_link(place.directory.get(), parts.name.c_str());
    if (target.empty())
      return ENOENT;
    path = target.front() == '/' ? std::move(target) : parts.directory + '/' + target;
  }
  return ELOOP;
}

/// Receives a file under a hidden name next to its place and moves it there when it is complete.
class write_operation final : public operation {
public:
  write_operation(connection& link, target_place place, std::string hidden, unique_fd file,
                  const write_request& request)
      : operation(link)
      , place_(std::move(place))
      , hidden_(std::move(hidden))
      , file_(std::move(file))
      , mode_(request.mode & 07777)
      , keep_mode_(request.keep_mode) {}

  ~write_operation() override {
    if (!hidden_.empty())
      ::unlinkat(place_.directory.get(), hidden_.c_str(), 0);
  }

  void on_frame(frame_type type, std::string_view payload) override {
    if (type == frame_type::data && !committing_)
      return store(payload);
    auto commit = decode<commit_request>(payload);
    if (type != frame_type::commit || committing_ || !commit)
      return operation::on_frame(type, payload);
    committing_ = true;
    if (commit->base64)
      link_.again();
    else
      put_in_place();
  }

  void on_turn() override { decode_slice(); }

private:
  static constexpr std::size_t slice_bytes = piece_bytes;

  void store(std::string_view bytes) {
    while (!bytes.empty()) {
      auto count = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return fail_file(link_, errno, place_.path);
      size_ += static_cast<std::uint64_t>(count);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// Decodes a piece of the file in place: what comes out is never longer than what went in.
  void decode_slice() {
    auto* bytes = scratch().bytes();
    auto count = ::pread(file_.get(), bytes, slice_bytes, static_cast<off_t>(encoded_));
    if (count < 0)
      return fail_file(link_, errno, place_.path);
    if (count == 0) {
      if (!base64_.complete())
        return link_.fail(failure_kind::invalid, EINVAL, "Invalid base64 content");
      if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0)
        return fail_file(link_, errno, place_.path);
      return put_in_place();
    }
    if (encoded_ == 0)
      size_ = 0;
    encoded_ += static_cast<std::uint64_t>(count);
    auto decoded = base64_.feed({bytes, static_cast<std::size_t>(count)}, bytes);
    if (!decoded)
      return link_.fail(failure_kind::invalid, EINVAL, "Invalid base64 content");
    store({bytes, *decoded});
    link_.again();
  }

  void put_in_place() {
    bool keep = keep_mode_ && place_.exists;
    // The owner goes first, because changing it clears set-id bits. Giving a file away may be forbidden: then
    // it stays ours.
    if (keep && (place_.info.st_uid != ::geteuid() || place_.info.st_gid != ::getegid()) &&
        ::fchown(file_.get(), place_.info.st_uid, place_.info.st_gid) != 0 && errno != EPERM &&
        errno != EINVAL)
      return fail_file(link_, errno, place_.path);
    struct stat info{};
    if (::fchmod(file_.get(), keep ? place_.info.st_mode & 07777 : mode_) != 0 ||
        ::fstat(file_.get(), &info) != 0 ||
        ::renameat(place_.directory.get(), hidden_.c_str(), place_.directory.get(), place_.name.c_str()) != 0)
      return fail_file(link_, errno, place_.path);
    hidden_.clear();
    link_.send(describe(place_.path, info));
    link_.finish();
  }

  target_place place_;
  std::string hidden_;
  unique_fd file_;
  std::uint32_t mode_;
  bool keep_mode_, committing_ = false;
  std::uint64_t size_ = 0;    ///< bytes of the file that are final
  std::uint64_t encoded_ = 0; ///< bytes of base64 that are decoded
  base64_decoder base64_;
};

} // namespace

std::unique_ptr<operation> start_write(connection& link, const write_request& request) {
  target_place place;
  int error = find_place(request.path, place);
  if (error == EINVAL && request.path.starts_with('/')) {
    link.fail(failure_kind::invalid, error, "Not a regular file");
    return nullptr;
  }
  if (error == 0 && is_kernel_file_system(place.directory))
    error = EPERM;
  std::string hidden;
  unique_fd file;
  if (error == 0) {
    hidden = hidden_name(place.exists ? 'm' : 'c');
    file.reset(::openat(place.directory.get(), hidden.c_str(),
                        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file)
      error = errno;
  }
  if (error != 0) {
    fail_file(link, error, request.path);
    return nullptr;
  }
  link.send(frame_type::done);
  return std::make_unique<write_operation>(link, std::move(place), std::move(hidden), std::move(file),
                                           request);
}

} // namespace sandy::guest
