#include "runtime/oci/layer_unpacker.hpp"

#include "runtime/crun/layout.hpp"
#include "runtime/system_failure.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

// OCI image-spec 1.1, layer.md; Documentation/filesystems/overlayfs.rst ("whiteouts and opaque directories").

namespace sandy::runtime::oci {

namespace {

constexpr std::string_view removal = ".wh.";
constexpr std::string_view opaque_mark = ".wh..wh..opq";
/// Names of this kind are notes that an old union file system left for itself.
constexpr std::string_view private_marks = ".wh..wh.";
constexpr std::size_t longest_path = 4096;
/// Owner of what belongs to ids that sandboxes do not have.
constexpr std::int64_t nobody = 65'534;
constexpr std::uint64_t block = 4096;

bool is_whiteout(const struct stat& about) { return S_ISCHR(about.st_mode) && about.st_rdev == 0; }

std::uint64_t on_disk(std::uint64_t bytes) { return (bytes + block - 1) / block * block; }

uid_t owner(std::int64_t id) {
  return static_cast<uid_t>(id >= 0 && id < std::int64_t{ids_per_sandbox} ? id : nobody);
}

/// Opens below `root` as if that were "/": neither links nor ".." lead out of it.
int open_in_root(int root, const char* path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  constexpr int patience =
      100; // EAGAIN: something was renamed on the machine while ".." of a link was followed
  for (int attempt = 0;; ++attempt) {
    auto opened = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
    if (opened >= 0 || errno != EAGAIN || attempt == patience)
      return opened;
  }
}

/// True for failures that the archive asked for; the others are the machine's.
bool archives_fault(int error) {
  switch (error) {
  case ENAMETOOLONG:
  case ELOOP:
  case ENOTDIR:
  case EISDIR:
  case EMLINK:
  case EINVAL:
  case ENOENT:
  case EEXIST:
  case EFBIG:
  case EXDEV:
    return true;
  default:
    return false;
  }
}

std::string_view parent_of(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view base_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// A path without empty parts and "."; false when it has "..": whoever writes that is up to no good.
bool normalize(std::string_view path, std::string& into) {
  into.clear();
  while (!path.empty()) {
    auto end = std::min(path.find('/'), path.size());
    auto part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part == "..")
      return false;
    if (!part.empty() && part != ".")
      into.append(into.empty() ? "" : "/").append(part);
  }
  return true;
}

/// Puts back when a directory was last changed: what is unpacked into it says when it was.
class unchanged_time {
public:
  explicit unchanged_time(int directory)
      : directory_(directory) {
    known_ = ::fstat(directory, &before_) == 0;
  }
  unchanged_time(const unchanged_time&) = delete;
  unchanged_time& operator=(const unchanged_time&) = delete;
  ~unchanged_time() {
    const timespec times[2] = {before_.st_atim, before_.st_mtim};
    if (known_)
      ::futimens(directory_, times);
  }

private:
  int directory_;
  bool known_;
  struct stat before_{};
};

} // namespace

layer_unpacker::layer_unpacker(int tree, int trash, std::uint64_t& entries)
    : tree_(tree)
    , trash_(trash)
    , entries_(entries)
    , space_(tree) {}

caf::error layer_unpacker::wrong(std::string_view what) const {
  const auto error = errno;
  constexpr std::size_t longest = 150;
  auto shown = path_.substr(0, longest);
  if (what.empty()) {
    if (!archives_fault(error))
      return system_failure("cannot unpack " + shown, error);
    what = "cannot be unpacked";
  }
  return fail(errc::invalid_argument, "In a layer of the image, " + shown + " " + std::string{what});
}

result<tree_size> layer_unpacker::unpack(tar_reader& from,
                                         const std::function<result<void>(std::uint64_t)>& on_progress) {
  progress_ = &on_progress;
  for (;;) {
    auto entry = from.next();
    if (!entry)
      return std::move(entry.error());
    if (*entry == nullptr)
      return size_;
    if (entries_ == 0)
      return fail(errc::payload_too_large, "The image has too many files");
    --entries_;
    if (auto told = on_progress(0); !told)
      return std::move(told.error());
    if (auto done = add(*entry, from); !done)
      return std::move(done.error());
  }
}

result<void> layer_unpacker::add(archive_entry* entry, tar_reader& from) {
  const char* name = ::archive_entry_pathname(entry);
  path_ = name != nullptr ? name : "a file";
  if (name == nullptr)
    return wrong("has a name that cannot be read");
  if (path_.size() > longest_path)
    return wrong("has a name that is too long");
  auto at = find_place(path_, true);
  if (!at)
    return std::move(at.error());
  unchanged_time keep{at->parent};
  const auto type = ::archive_entry_filetype(entry);
  if (at->name.empty()) {
    if (type != AE_IFDIR)
      return wrong("would replace the root directory");
    set_attributes(tree_, entry);
    return caf::unit;
  }
  if (at->name == opaque_mark)
    return make_opaque(at->parent);
  if (at->name.starts_with(private_marks))
    return caf::unit;
  if (at->name.starts_with(removal))
    return add_whiteout(*at, std::string_view{at->name}.substr(removal.size()));
  if (const char* target = ::archive_entry_hardlink(entry))
    return add_hard_link(target, *at);
  switch (type) {
  case AE_IFDIR:
    return add_directory(entry, *at);
  case AE_IFREG:
    return add_file(entry, *at, from);
  case AE_IFLNK:
  case AE_IFIFO:
    return add_special(entry, *at);
  case AE_IFCHR: // the sandbox has its own; a device 0:0 would even be a mark for overlayfs
  case AE_IFBLK:
  case AE_IFSOCK:
    return caf::unit;
  default:
    return wrong("is of a kind that no image has");
  }
}

result<layer_unpacker::place> layer_unpacker::find_place(std::string_view path, bool make_parents) {
  std::string plain;
  if (!normalize(path, plain))
    return wrong("leads out of the root directory");
  std::string parent{parent_of(plain)};
  if (!parent_ || parent != parent_path_) {
    auto opened = open_directory(parent, make_parents);
    if (!opened)
      return std::move(opened.error());
    parent_ = std::move(*opened);
    parent_path_ = std::move(parent);
  }
  return place{parent_.get(), std::string{base_of(plain)}};
}

result<unique_fd> layer_unpacker::open_directory(const std::string& path, bool make) {
  auto open = [this](std::string_view which) {
    std::string text{which.empty() ? "." : which};
    return unique_fd{open_in_root(tree_, text.c_str(), O_RDONLY | O_DIRECTORY)};
  };
  auto found = open(path);
  if (found || errno != ENOENT || !make)
    return found ? result<unique_fd>{std::move(found)} : wrong({});
  // Some archives leave out the directories of what they hold.
  auto above = open("");
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    auto prefix = std::string_view{path}.substr(0, end);
    auto next = open(prefix);
    if (!next) {
      if (errno != ENOENT || entries_ == 0)
        return wrong({});
      unchanged_time keep{above.get()};
      // What exists and cannot be opened is a link that leads nowhere.
      if (::mkdirat(above.get(), std::string{base_of(prefix)}.c_str(), 0755) != 0)
        return wrong({});
      --entries_;
      ++size_.inodes;
      size_.bytes += block;
      next = open(prefix);
      if (!next)
        return wrong({});
    }
    if (end == std::string::npos)
      return next;
    above = std::move(next);
  }
}

/// Makes a name free for an entry. @param existed set when a directory may stay for one. @param removed_below
/// set when the name was marked as removed.
result<void> layer_unpacker::make_room(const place& at, bool for_directory, bool& existed,
                                       bool& removed_below) {
  struct stat about{};
  existed = removed_below = false;
  if (::fstatat(at.parent, at.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? result<void>{caf::unit} : wrong({});
  if (S_ISDIR(about.st_mode)) {
    existed = for_directory;
    // Not taken apart here: it may be as deep as it likes.
    if (!existed && ::renameat(at.parent, at.name.c_str(), trash_, std::to_string(replaced_++).c_str()) != 0)
      return wrong({});
    return caf::unit;
  }
  removed_below = is_whiteout(about);
  if (::unlinkat(at.parent, at.name.c_str(), 0) != 0)
    return wrong({});
  return caf::unit;
}

result<void> layer_unpacker::make_opaque(int directory) {
  struct stat root{}, about{};
  if (::fstat(tree_, &root) != 0 || ::fstat(directory, &about) != 0)
    return wrong({});
  if (root.st_ino == about.st_ino) // overlayfs merges root directories whatever they say
    return wrong("hides all that lies below the layer");
  if (::fsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) != 0)
    return system_failure("cannot mark a directory as opaque");
  return caf::unit;
}

/// Removes a name of the layers below. What this layer has of that name stays: marks are about others.
result<void> layer_unpacker::add_whiteout(const place& at, std::string_view name) {
  std::string text{name};
  if (text.empty() || text == "." || text == "..")
    return wrong("removes nothing that has a name");
  struct stat about{};
  if (::fstatat(at.parent, text.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISDIR(about.st_mode))
      return caf::unit;
    unique_fd directory{::openat(at.parent, text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    return directory ? make_opaque(directory.get()) : wrong({});
  }
  if (::mknodat(at.parent, text.c_str(), S_IFCHR, ::makedev(0, 0)) != 0)
    return wrong({});
  ++size_.inodes;
  return caf::unit;
}

result<void> layer_unpacker::add_directory(archive_entry* entry, const place& at) {
  bool existed = false, removed_below = false;
  if (auto free = make_room(at, true, existed, removed_below); !free)
    return free;
  if (!existed) {
    if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0)
      return wrong({});
    ++size_.inodes;
    size_.bytes += block;
  }
  unique_fd made{::openat(at.parent, at.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!made)
    return wrong({});
  if (removed_below)
    if (auto marked = make_opaque(made.get()); !marked)
      return marked;
  set_attributes(made.get(), entry);
  return caf::unit;
}

result<void> layer_unpacker::add_file(archive_entry* entry, const place& at, tar_reader& from) {
  bool existed = false, removed_below = false;
  if (auto free = make_room(at, false, existed, removed_below); !free)
    return free;
  unique_fd made{
      ::openat(at.parent, at.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!made)
    return wrong({});
  ++size_.inodes;
  if (auto written = write_content(made.get(), entry, from); !written)
    return written;
  set_attributes(made.get(), entry);
  return caf::unit;
}

result<void> layer_unpacker::write_content(int file, archive_entry* entry, tar_reader& from) {
  std::uint64_t written = 0;
  for (;;) {
    auto piece = from.data();
    if (!piece)
      return std::move(piece.error());
    if (!*piece)
      break;
    auto [bytes, offset] = **piece;
    if (auto left = space_.take(bytes.size()); !left)
      return left;
    if (auto told = (*progress_)(bytes.size()); !told)
      return told;
    written += bytes.size();
    while (!bytes.empty()) {
      auto count = ::pwrite(file, bytes.data(), bytes.size(), offset);
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return wrong({});
      bytes.remove_prefix(static_cast<std::size_t>(count));
      offset += count;
    }
  }
  size_.bytes += on_disk(written);
  // A hole at its end.
  if (::archive_entry_size_is_set(entry) != 0 &&
      static_cast<std::uint64_t>(::archive_entry_size(entry)) != written &&
      ::ftruncate(file, ::archive_entry_size(entry)) != 0)
    return wrong({});
  return caf::unit;
}

result<void> layer_unpacker::add_hard_link(std::string_view target, const place& at) {
  std::string plain;
  if (!normalize(target, plain) || plain.empty())
    return wrong("links to what is outside of the root directory");
  auto parent = open_directory(std::string{parent_of(plain)}, false);
  if (!parent)
    return std::move(parent.error());
  std::string name{base_of(plain)};
  struct stat about{}, present{};
  if (::fstatat(parent->get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0 ||
      !(S_ISREG(about.st_mode) || S_ISLNK(about.st_mode)))
    return wrong("links to what is not there");
  if (::fstatat(at.parent, at.name.c_str(), &present, AT_SYMLINK_NOFOLLOW) == 0 &&
      present.st_ino == about.st_ino)
    return caf::unit;
  bool existed = false, removed_below = false;
  if (auto free = make_room(at, false, existed, removed_below); !free)
    return free;
  if (::linkat(parent->get(), name.c_str(), at.parent, at.name.c_str(), 0) != 0)
    return wrong({});
  return caf::unit;
}

result<void> layer_unpacker::add_special(archive_entry* entry, const place& at) {
  bool existed = false, removed_below = false;
  if (auto free = make_room(at, false, existed, removed_below); !free)
    return free;
  const char* name = at.name.c_str();
  if (::archive_entry_filetype(entry) == AE_IFIFO) {
    if (::mkfifoat(at.parent, name, ::archive_entry_perm(entry) & 0777) != 0)
      return wrong({});
  } else {
    const char* target = ::archive_entry_symlink(entry);
    if (target == nullptr || ::symlinkat(target, at.parent, name) != 0)
      return wrong(target == nullptr ? "links to what cannot be read" : "");
  }
  ++size_.inodes;
  const timespec time{::archive_entry_mtime(entry), ::archive_entry_mtime_nsec(entry)},
      times[2] = {time, time};
  if (::fchownat(at.parent, name, owner(::archive_entry_uid(entry)), owner(::archive_entry_gid(entry)),
                 AT_SYMLINK_NOFOLLOW) != 0)
    return wrong({});
  ::utimensat(at.parent, name, times, AT_SYMLINK_NOFOLLOW);
  return caf::unit;
}

/// Owner, permissions, attributes and time. What the file system refuses of the last two is left out.
void layer_unpacker::set_attributes(int file, archive_entry* entry) {
  const bool directory = ::archive_entry_filetype(entry) == AE_IFDIR;
  static_cast<void>(!::fchown(file, owner(::archive_entry_uid(entry)), owner(::archive_entry_gid(entry))));
  // No sandbox honours set-user-id bits, and on the machine they must not mean anything.
  ::fchmod(file, ::archive_entry_perm(entry) & (directory ? 03777 : 0777));
  ::archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
    if (std::string_view text{name}; text.starts_with("user.") && !text.starts_with("user.overlay."))
      ::fsetxattr(file, name, value, size, 0);
  const timespec time{::archive_entry_mtime(entry), ::archive_entry_mtime_nsec(entry)},
      times[2] = {time, time};
  ::futimens(file, times);
}

} // namespace sandy::runtime::oci
