#include "runtime/disk_image.hpp"

#include "runtime/child_process.hpp"
#include "runtime/disk_files.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr std::uint64_t least_disk = 16 * mebibyte;
/// Sizes come from clients: without a bound each new one would stay in memory.
constexpr std::size_t most_templates = 16;

/// A directory that goes with its owner.
class scratch_directory {
public:
  explicit scratch_directory(std::string path)
      : path_(std::move(path)) {}
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory() {
    std::error_code ignored; // what stays is removed by the next one of this name
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

result<void> lay_out(const std::string& root) {
  auto make = [](const std::string& path) { return ::mkdir(path.c_str(), 0755) == 0; };
  for (auto name : {"", "/lower", "/upper", "/work", "/merged"})
    if (!make(root + name))
      return system_failure("cannot lay out a disk");
  for (const auto& file : disk_files) {
    auto path = root + "/upper/" + file.path;
    if (file.content == nullptr) {
      if (!make(path))
        return system_failure("cannot lay out a disk");
      continue;
    }
    if (auto written = write_new_file(path, file.content); !written)
      return written;
    if (::chmod(path.c_str(), 0644) != 0)
      return system_failure("cannot lay out a disk");
  }
  return caf::unit;
}

/// Reads what is not a hole (lseek(2), SEEK_DATA).
result<disk_template> load(const std::string& path, std::uint64_t size_bytes) {
  unique_fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file)
    return system_failure("cannot open a disk template");
  disk_template loaded{size_bytes, {}};
  for (off_t at = 0;;) {
    auto begin = ::lseek(file.get(), at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO)
      return loaded;
    auto end = begin < 0 ? begin : ::lseek(file.get(), begin, SEEK_HOLE);
    if (end < 0)
      return system_failure("cannot read a disk template");
    std::vector<char> bytes(static_cast<std::size_t>(end - begin));
    for (std::size_t done = 0; done < bytes.size();) {
      auto count =
          ::pread(file.get(), bytes.data() + done, bytes.size() - done, begin + static_cast<off_t>(done));
      if (count <= 0)
        return system_failure("cannot read a disk template", count < 0 ? errno : EIO);
      done += static_cast<std::size_t>(count);
    }
    loaded.pieces.push_back({begin, std::move(bytes)});
    at = end;
  }
}

result<disk_template> build(const std::string& scratch, std::uint64_t size_bytes) {
  std::error_code ignored;
  std::filesystem::remove_all(scratch, ignored); // of a server that was killed here
  if (::mkdir(scratch.c_str(), 0700) != 0)
    return system_failure("cannot make a directory for a disk template");
  scratch_directory here{scratch};
  auto root = here.path() + "/root", file = here.path() + "/disk";
  if (auto done = lay_out(root); !done)
    return done.error();
  if (auto done = write_new_file(file, ""); !done)
    return done.error();
  if (::truncate(file.c_str(), static_cast<off_t>(size_bytes)) != 0)
    return system_failure("cannot size a disk template");
  // No journal: the disk never outlives a crash of the host. Inode tables stay holes, so an image is 100 KiB,
  // not 1.6 %. One inode per 16 KiB bounds the number of files.
  auto ran = run_child({{"/sbin/mke2fs",
                         "-q",
                         "-F",
                         "-t",
                         "ext4",
                         "-b",
                         "4096",
                         "-I",
                         "256",
                         "-i",
                         "16384",
                         "-m",
                         "0",
                         "-O",
                         "^has_journal,^resize_inode",
                         "-E",
                         "lazy_itable_init=1,nodiscard",
                         "-d",
                         root,
                         file},
                        {},
                        std::chrono::steady_clock::now() + 30s});
  if (!ran)
    return ran.error();
  if (ran->exit_status != 0)
    return fail(mentions_exhaustion(ran->errors) ? errc::capacity_exhausted : errc::sandbox_failed,
                "cannot make a disk: " + ran->errors);
  return load(file, size_bytes);
}

} // namespace

disk_maker::disk_maker(std::string directory)
    : scratch_(std::move(directory) + "/disk-template") {
  std::error_code ignored; // there is one only after a server was killed while building, and the next build
                           // removes it too
  std::filesystem::remove_all(scratch_, ignored);
}

result<disk_maker::shared_template> disk_maker::find(std::uint64_t size_bytes) {
  std::lock_guard guard{mutex_};
  auto at = std::find_if(recent_.begin(), recent_.end(),
                         [=](const shared_template& known) { return known->size_bytes == size_bytes; });
  if (at != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, at);
    return recent_.front();
  }
  auto built = build(scratch_, size_bytes);
  if (!built)
    return built.error();
  recent_.push_front(std::make_shared<const disk_template>(std::move(*built)));
  if (recent_.size() > most_templates)
    recent_.pop_back();
  return recent_.front();
}

result<void> disk_maker::make(const std::string& path, std::uint64_t size_bytes) {
  size_bytes = std::max(least_disk, (size_bytes + mebibyte - 1) / mebibyte * mebibyte);
  auto found = find(size_bytes);
  if (!found)
    return found.error();
  unique_fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file)
    return system_failure("cannot create the sandbox's disk");
  if (::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0)
    return system_failure("cannot size the sandbox's disk");
  for (const auto& [offset, bytes] : (*found)->pieces)
    for (std::size_t done = 0; done < bytes.size();) {
      auto count =
          ::pwrite(file.get(), bytes.data() + done, bytes.size() - done, offset + static_cast<off_t>(done));
      if (count < 0)
        return system_failure("cannot write the sandbox's disk");
      done += static_cast<std::size_t>(count);
    }
  return caf::unit;
}

bool wait_for_loop_release(int loop, const std::string& path, steady_time deadline) {
  auto name = "/sys/block/loop" + std::to_string(loop) + "/loop/backing_file";
  // The kernel unmounts in the background after the last process of the mount namespace ended.
  for (auto pause = 200us;; pause = std::min(pause * 2, std::chrono::microseconds{10ms})) {
    auto backing = read_small_file(name);
    if (!backing || !backing->starts_with(path)) // detached, or somebody else's by now
      return true;
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(pause);
  }
}

std::uint64_t used_bytes(const std::string& directory) {
  struct statvfs about{};
  if (::statvfs(directory.c_str(), &about) != 0)
    return 0;
  return (about.f_blocks - about.f_bfree) * about.f_frsize;
}

} // namespace sandy::runtime
