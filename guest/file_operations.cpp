#include "guest/file_operations.hpp"

#include "guest/paths.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sandy::guest {
namespace {

/// Sends a regular file piece by piece, as the client takes it.
class read_operation final : public operation {
public:
  read_operation(connection& link, unique_fd file, std::uint64_t offset, std::uint64_t length,
                 std::string path)
      : operation(link)
      , file_(std::move(file))
      , offset_(offset)
      , left_(length)
      , path_(std::move(path)) {
    link_.again();
  }

  void on_turn() override {
    if (!link_.has_room())
      return; // on_writable asks for the next turn
    auto* bytes = scratch().bytes();
    auto wanted = std::min<std::uint64_t>(left_, piece_bytes);
    auto count = ::pread(file_.get(), bytes, wanted, static_cast<off_t>(offset_));
    if (count < 0 && errno == EINTR)
      return link_.again();
    if (count < 0 && errno != EAGAIN) // a file of /proc that would wait has nothing more for us
      return fail_file(link_, errno, path_);
    if (count > 0) {
      auto size = static_cast<std::size_t>(count);
      char* frame = bytes - header_bytes;
      put_header(frame, static_cast<std::uint32_t>(size), static_cast<std::uint8_t>(frame_type::data));
      link_.send_frame({frame, header_bytes + size});
      offset_ += size;
      left_ -= size;
    }
    if (count <= 0 || left_ == 0) {
      link_.send(frame_type::end);
      link_.finish();
    } else {
      link_.again();
    }
  }

  void on_writable() override { link_.again(); }

private:
  unique_fd file_;
  std::uint64_t offset_, left_;
  std::string path_;
};

} // namespace

void answer_stat(connection& link, const path_request& request) {
  if (int error = check_path(request.path); error != 0)
    return fail_file(link, error, request.path);
  struct stat own{};
  if (::lstat(request.path.c_str(), &own) != 0) // a link is described as a link
    return fail_file(link, errno, request.path);
  auto found = describe(request.path, own);
  if (S_ISLNK(own.st_mode))
    found.target = read_link(AT_FDCWD, request.path.c_str());
  link.send(found);
  link.finish();
}

void answer_make_directory(connection& link, const directory_request& request) {
  int error = check_path(request.path);
  if (error == 0)
    error = make_directories(request.path, request.mode & 07777);
  if (error != 0)
    return fail_file(link, error, request.path);
  link.succeed();
}

void answer_move(connection& link, const move_request& request) {
  for (const auto* path : {&request.from, &request.to})
    if (int error = check_path(*path); error != 0)
      return fail_file(link, error, *path);
  struct stat info{};
  if (::lstat(request.from.c_str(), &info) != 0)
    return fail_file(link, errno, request.from);
  if (int error = make_directories(split(request.to).directory, 0755); error != 0)
    return fail_file(link, error, request.to);
  unsigned flags = request.overwrite ? 0 : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, request.from.c_str(), AT_FDCWD, request.to.c_str(), flags) != 0)
    return fail_file(link, errno, request.to);
  link.succeed();
}

std::unique_ptr<operation> start_read(connection& link, const read_request& request) {
  int error = check_path(request.path);
  struct stat info{};
  unique_fd file;
  if (error == 0) {
    // Never waits (FIFO, device) and never acquires a terminal, whatever the path turns out to be.
    file.reset(::open(request.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    error = !file || ::fstat(file.get(), &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
  }
  if (error == ENXIO || (error == 0 && !S_ISREG(info.st_mode))) {
    link.fail(failure_kind::invalid, EINVAL, "Not a regular file");
    return nullptr;
  }
  // Files of /proc say that they are empty and are not.
  if (error == 0 && request.offset > static_cast<std::uint64_t>(info.st_size) && info.st_size > 0)
    error = ERANGE;
  if (error != 0) {
    fail_file(link, error, request.path);
    return nullptr;
  }
  link.send(describe(request.path, info));
  return std::make_unique<read_operation>(link, std::move(file), request.offset,
                                          request.length == 0 ? UINT64_MAX : request.length, request.path);
}

} // namespace sandy::guest
