#include "runtime/oci/importer.hpp"

#include "messages/image.hpp"
#include "runtime/child_process.hpp"
#include "runtime/driver.hpp"
#include "runtime/oci/import_status.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

namespace sandy::runtime::oci {

namespace {

/// Each has a thread of those that may block, which sandboxes need, too.
constexpr int most_at_once = 2;
constexpr std::uint32_t try_again_seconds = 10;
constexpr int archive_pipe_bytes = 1 << 20;

struct pipe_ends {
  unique_fd read, write;
};

/// @param ours does not block.
result<pipe_ends> make_pipe(unique_fd pipe_ends::* ours) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return system_failure("cannot make a pipe");
  pipe_ends made{unique_fd{ends[0]}, unique_fd{ends[1]}};
  if (::fcntl((made.*ours).get(), F_SETFL, O_NONBLOCK) != 0)
    return system_failure("cannot set up a pipe");
  return made;
}

caf::error why(const child_outcome& outcome) {
  if (outcome.timed_out)
    return fail(errc::deadline_exceeded, "The image was not unpacked in time");
  for (const auto& [status, code] : import_statuses)
    if (status == outcome.exit_status)
      return fail(code, complaint(outcome));
  return fail(errc::internal, "The image could not be unpacked: " + complaint(outcome));
}

} // namespace

/// One import and its turn.
class importer::running final : public image_import {
public:
  explicit running(importer& owner)
      : owner_(owner) {
    ++owner_.running_;
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() override { --owner_.running_; }

  result<void> begin(const std::string& name, const import_source& from) {
    if (owner_.stopping_)
      return stopping();
    if (!is_image_name(name))
      return fail(errc::invalid_argument, "This cannot be the name of an image");
    if (owner_.running_ > most_at_once)
      return fail_for_now(errc::capacity_exhausted, "Other images are being imported: try again soon",
                          try_again_seconds);
    if (owner_.store_.find(name) && !owner_.images_.is_imported(name))
      return fail(errc::conflict, "An image of this name was built here");
    name_ = name;
    if (from.reference) {
      if (!is_allowed(owner_.options_.registries, *from.reference))
        return fail(
            errc::forbidden,
            "Images are not fetched from there: the operator allows registries with image_registries");
      reference_ = from.reference;
    } else if (from.file) {
      auto opened = owner_.open_file(*from.file);
      if (!opened)
        return std::move(opened.error());
      input_ = std::move(*opened);
    } else {
      auto made = make_pipe(&pipe_ends::write);
      if (!made)
        return std::move(made.error());
      ::fcntl(made->write.get(), F_SETPIPE_SZ, archive_pipe_bytes); // a smaller one does, slower
      input_ = std::move(made->read);
      archive = std::move(made->write);
    }
    if (from.told) {
      auto lines = make_pipe(&pipe_ends::read);
      if (!lines)
        return std::move(lines.error());
      progress = std::move(lines->read);
      output_ = std::move(lines->write);
    } else {
      output_.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    auto place = owner_.images_.stage();
    if (!place)
      return std::move(place.error());
    staging_ = std::move(*place);
    return caf::unit;
  }

  result<image_info> finish() override {
    result<void> done = reference_ ? fetch() : caf::unit;
    if (done)
      done = unpack();
    if (done)
      done = owner_.images_.publish(*staging_, name_);
    staging_.reset(); // here, where it may block
    if (!done)
      return std::move(done.error());
    auto described = owner_.store_.describe_image(name_);
    if (!described)
      return fail(errc::conflict, "The image was removed at once");
    return image_info{name_,
                      false,
                      {},
                      described->size_bytes,
                      described->made_at,
                      true,
                      std::move(described->digest),
                      std::move(described->layers)};
  }

private:
  static caf::error stopping() { return fail_for_now(errc::shutting_down, "The server is stopping", 1); }

  /// Tells of bytes that arrived, unless nobody has read what was told before.
  result<void> tell(std::uint64_t bytes) {
    if (owner_.stopping_)
      return stopping();
    pollfd ready{output_.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 0) > 0 && (ready.revents & POLLERR) != 0)
      return fail(errc::cancelled, "Nobody waits for the image any more");
    if (bytes == told_ || (ready.revents & POLLOUT) == 0)
      return caf::unit;
    told_ = bytes;
    auto line = nlohmann::json{{"state", "fetching"}, {"bytes", bytes}}.dump() + "\n";
    static_cast<void>(!::write(output_.get(), line.data(), line.size()));
    return caf::unit;
  }

  result<void> fetch() {
    const auto& options = owner_.options_;
    auto pulled = pull(options.registries, *reference_, staging_->directory(), options.limits.bytes,
                       [this](std::uint64_t bytes) { return tell(bytes); });
    if (!pulled) {
      output_.reset();
      return std::move(pulled.error());
    }
    input_ = std::move(*pulled);
    return caf::unit;
  }

  result<void> unpack() {
    const auto& options = owner_.options_;
    child_command command;
    command.arguments = {options.program, staging_->directory(), std::to_string(options.limits.bytes),
                         std::to_string(options.limits.entries)};
    command.descriptors = {input_.get(), output_.get(), staging_->lock()};
    command.deadline = std::chrono::steady_clock::now() + options.timeout;
    command.go_on = [this]() -> result<void> {
      if (owner_.stopping_)
        return stopping();
      return caf::unit;
    };
    auto outcome = run_child(command);
    // Whoever writes the archive or waits for news learns now that there is nobody at the other end.
    input_.reset();
    output_.reset();
    if (!outcome)
      return std::move(outcome.error());
    if (outcome->timed_out || outcome->exit_status != 0)
      return why(*outcome);
    return caf::unit;
  }

  importer& owner_;
  std::string name_;
  std::optional<image_reference> reference_;
  std::uint64_t told_ = 0; ///< bytes that arrived, when that was told last
  unique_fd input_, output_;
  std::unique_ptr<staging> staging_;
};

importer::importer(importer_options options)
    : options_(std::move(options))
    , images_(options_.image_dir)
    , store_(options_.image_dir) {}

result<std::shared_ptr<image_import>> importer::begin(const std::string& name, const import_source& from) {
  auto made = std::make_shared<running>(*this);
  if (auto begun = made->begin(name, from); !begun)
    return std::move(begun.error());
  return std::shared_ptr<image_import>{std::move(made)};
}

/// A file below a directory that is allowed, also by the links on its way.
result<unique_fd> importer::open_file(const std::string& path) const {
  auto plain = std::filesystem::path{path}.lexically_normal().string();
  for (const auto& allowed : options_.directories) {
    auto base = allowed.ends_with('/') ? allowed : allowed + "/";
    if (path.find('\0') != std::string::npos || !plain.starts_with(base))
      continue;
    unique_fd directory{::open(allowed.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    open_how how{};
    how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; // a fifo must not hold us up
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    auto below = plain.substr(base.size());
    unique_fd file{
        static_cast<int>(::syscall(SYS_openat2, directory.get(), below.c_str(), &how, sizeof how))};
    struct stat about{};
    if (!file && errno != ENOENT)
      return fail(errc::forbidden, "This file cannot be read");
    if (!file || ::fstat(file.get(), &about) != 0)
      return fail(errc::file_not_found, "There is no such file");
    if (!S_ISREG(about.st_mode))
      return fail(errc::invalid_argument, "An archive is a regular file");
    return file;
  }
  return fail(errc::forbidden,
              "Images are not imported from there: the operator allows directories with image_import_dirs");
}

} // namespace sandy::runtime::oci
