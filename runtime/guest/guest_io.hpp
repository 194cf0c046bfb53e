#pragma once

#include "messages/sandbox_io.hpp"
#include "runtime/guest/connection.hpp"
#include "runtime/guest/end_state.hpp"
#include "runtime/guest/lease.hpp"

#include <memory>
#include <string>

namespace sandy::guest {

/// The data plane of one sandbox, through its guest. Each call opens a connection on the io_context of the
/// coroutine that makes it. Thread safe: holds nothing that changes.
class guest_io final : public sandbox_io, public std::enable_shared_from_this<guest_io> {
public:
  /// @param socket_path where the guest listens, on the host. @param env the sandbox's own environment, on
  /// top of the basic one (HOME, PATH, LANG, ...). @param workdir absolute.
  guest_io(std::string socket_path, environment env, std::string workdir, std::shared_ptr<end_state> ended);

  io_task<result<std::unique_ptr<process_stream>>> exec(process_spec spec) override;
  io_task<result<process_info>> start(process_spec spec) override;
  io_task<result<std::vector<process_info>>> processes() override;
  io_task<result<process_info>> process(std::uint32_t process_id) override;
  io_task<result<std::unique_ptr<process_stream>>> output(std::uint32_t process_id, std::uint64_t offset,
                                                          bool follow) override;
  io_task<result<void>> write_stdin(std::uint32_t process_id, std::string bytes, bool close) override;
  io_task<result<void>> resize(std::uint32_t process_id, terminal_size size) override;
  io_task<result<void>> signal(std::uint32_t process_id, int signal, bool tree) override;

  io_task<result<open_file>> read_file(std::string path, std::uint64_t offset, std::uint64_t length) override;
  io_task<result<std::unique_ptr<byte_sink>>> write_file(write_options options) override;
  io_task<result<file_info>> stat(std::string path) override;
  io_task<result<std::vector<file_info>>> list(list_options options) override;
  io_task<result<void>> make_directory(std::string path, std::uint32_t mode) override;
  io_task<result<void>> move(std::string from, std::string to, bool overwrite) override;
  io_task<result<void>> remove(std::string path, bool recursive) override;
  io_task<result<std::unique_ptr<byte_source>>> archive(std::string directory, bool gzip) override;
  io_task<result<std::unique_ptr<archive_sink>>> unarchive(std::string directory) override;
  io_task<result<std::unique_ptr<watch_stream>>> watch(watch_options options) override;

private:
  using link = std::unique_ptr<connection>;
  /// Opens a connection and sends its first frame, or frames. @param passed a descriptor for the guest; may
  /// be empty.
  io_task<result<link>> ask(std::string frames, std::shared_ptr<const runtime::unique_fd> passed = {});
  template <class Request>
  io_task<result<link>> ask_with(Request request) {
    std::string frames;
    append_frame(frames, request);
    return ask(std::move(frames));
  }
  /// An operation that answers `done` and nothing else.
  template <class Request>
  io_task<result<void>> do_one(Request request) {
    auto asked = co_await ask_with(std::move(request));
    if (!asked)
      co_return std::move(asked.error());
    auto outcome = co_await (*asked)->expect(frame_type::done);
    co_return std::move(outcome);
  }
  /// Sends a command; what comes next depends on `flags`.
  io_task<result<link>> spawn(process_spec spec, std::uint8_t flags);
  io_task<result<link>> start_tar(std::string directory, bool gzip);
  /// Runs a program of the sandbox to its end; what it says is the error's sentence.
  io_task<result<void>> run_program(process_spec spec);
  /// Moves what cannot be renamed, because it changes the file system.
  io_task<result<void>> move_by_copy(std::string from, std::string to, bool overwrite);

  /// An absolute path: relative ones begin at /workspace, whatever the working directory is. Fails for one
  /// that no file can have.
  static result<std::string> absolute_path(std::string path);

  std::string socket_path_;
  environment env_;
  std::string workdir_;
  std::shared_ptr<end_state> ended_;
};

} // namespace sandy::guest
