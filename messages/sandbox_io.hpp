#pragma once

// The data plane: bytes to and from one sandbox. They go socket to socket on the caller's own io_context and
// never through an actor's mailbox. The right to use it comes from an actor (open_sandbox); the bytes do not.

#include "messages/error.hpp"
#include "messages/sandbox.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sandy {

namespace runtime {
class unique_fd;
}

using io_executor = boost::asio::io_context::executor_type;
/// A coroutine of the edge. Runs on the io_context that spawned it.
template <class T>
using io_task = boost::asio::awaitable<T, io_executor>;

/// How many characters a terminal shows.
struct terminal_size {
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
};

/// A command to run. `script` is one shell script for bash (sh where an image has no bash); with `argv` the
/// program is started directly and `script` is empty.
struct process_spec {
  std::string script; ///< up to the JSON body limit; long ones do not travel on a command line
  std::vector<std::string> argv;
  std::string cwd;                     ///< empty: the sandbox's workdir; relative: below it
  environment env;                     ///< on top of the sandbox's own
  std::chrono::milliseconds timeout{}; ///< 0: none. Then its process tree is killed and `timed_out` reported
  std::uint64_t ring_bytes = 0;        ///< bound of the kept output, background only; 0: 1 MiB
  std::string user; ///< background, without group or terminal: "USER" or "USER:GROUP", names or numbers of
                    ///< the sandbox; empty: root
  bool open_stdin = false; ///< else standard input is empty
  bool kill_on_disconnect =
      false; ///< foreground: when the reader goes away kill it, else it runs to its timeout
  /// Background, without a terminal: the group that it is in from its start, with all that it starts; see
  /// driver::make_group. Empty: the sandbox's own.
  std::shared_ptr<const runtime::unique_fd> group;
  std::optional<terminal_size> terminal; ///< background: input and output are a terminal of this size; then
                                         ///< `script` and `argv` may both be empty, for the user's shell
  bool unheeded = false; ///< background, without a terminal: what it does is no use of the sandbox, see
                         ///< driver::quiet_time
};

/// How a process ended. Exactly one per process, and true.
struct process_exit {
  std::int32_t exit_code = 0; ///< 128 + signal for a signal, 124 for a timeout
  std::int32_t signal = 0;    ///< 0 unless a signal ended it
  bool timed_out = false;
  std::uint64_t duration_ms = 0;  ///< from start to exit
  std::uint64_t output_bytes = 0; ///< everything it wrote, both streams
};

enum class output_stream : std::uint8_t { standard_output = 1, standard_error = 2 };

/// A piece of output, exactly as written. Offsets count the bytes of both streams in the order they were
/// read.
struct output_chunk {
  output_stream stream = output_stream::standard_output;
  std::uint64_t offset = 0;
  std::string bytes;
};

/// Output that the bounded ring no longer has: [from, to).
struct output_gap {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// The process runs on, and everything it wrote so far was sent: the end of a stream that does not follow.
struct still_running {};

/// What a process stream yields. The last one is process_exit, exactly once, or still_running where it was
/// not followed.
using process_event = std::variant<output_chunk, output_gap, process_exit, still_running>;

/// The output of one process. Reading slowly slows the process (foreground) or loses old output, announced
/// (background). Destroying it cancels: see process_spec::kill_on_disconnect.
class process_stream {
public:
  virtual ~process_stream() = default;
  /// Id of the process, unique in its sandbox.
  virtual std::uint32_t process_id() const noexcept = 0;
  /// The next event. Fails with sandbox_ended (the message says why) when the sandbox goes first.
  virtual io_task<result<process_event>> next() = 0;
};

enum class process_status : std::uint8_t { running, exited };

struct process_info {
  std::uint32_t process_id = 0;
  std::string command; ///< at most 4 KiB of it
  process_status status = process_status::running;
  process_exit exit; ///< valid when exited
  unix_millis started_at = 0;
  std::uint64_t output_bytes = 0;        ///< written so far
  std::uint64_t output_start = 0;        ///< the oldest byte still kept
  std::optional<terminal_size> terminal; ///< of a process that has one
};

enum class file_kind : std::uint8_t { regular, directory, symlink, other };

struct file_info {
  std::string path; ///< absolute; in listings relative to the directory listed
  file_kind kind = file_kind::regular;
  std::uint64_t size = 0;
  std::uint32_t mode = 0; ///< permission bits
  unix_millis modified_at = 0;
  std::string target; ///< of a symbolic link
};

/// Bytes out of the sandbox: a file, an archive.
class byte_source {
public:
  virtual ~byte_source() = default;
  /// The next piece, at most 256 KiB; empty at the end.
  virtual io_task<result<std::string>> read() = 0;
};

/// An open file and its description.
struct open_file {
  file_info info;
  std::unique_ptr<byte_source> bytes;
};

/// Bytes into a file that appears whole, at once, when committed, and not at all otherwise.
class byte_sink {
public:
  virtual ~byte_sink() = default;
  virtual io_task<result<void>> write(std::string_view bytes) = 0;
  /// Puts the file in place. @param base64 what was written is base64 text: decode it (fails with
  /// invalid_argument).
  virtual io_task<result<file_info>> commit(bool base64) = 0;
};

/// A tar stream going into a directory.
class archive_sink {
public:
  virtual ~archive_sink() = default;
  virtual io_task<result<void>> write(std::string_view bytes) = 0;
  /// Ends the archive and waits for tar; fails with invalid_argument (and tar's words) when it refused.
  virtual io_task<result<void>> finish() = 0;
};

/// One change below a watched directory.
struct watch_event {
  std::string kind; ///< "created", "modified", "deleted", "moved", "overflow"
  std::string path; ///< relative to the watched directory
  std::string from; ///< moved: the old path, empty when it came from outside
  bool directory = false;
};

class watch_stream {
public:
  virtual ~watch_stream() = default;
  virtual io_task<result<watch_event>> next() = 0;
};

struct write_options {
  std::string path;          ///< absolute, or relative to /workspace
  std::uint32_t mode = 0644; ///< of a new file; an existing one keeps its own when `keep_mode`
  bool keep_mode = true;
};

struct list_options {
  std::string path;
  bool recursive = true;
  bool skip_dependencies = true;       ///< leave out node_modules and .git below the directory
  std::uint32_t max_entries = 100'000; ///< limit_reached beyond
};

struct watch_options {
  std::string path;
  bool recursive = true;
  bool skip_dependencies = false; ///< what is in node_modules and .git is nobody's news
};

/// Everything the edge can do with the bytes of one sandbox. All of it fails with sandbox_ended when the
/// sandbox goes, with limit_reached when a limit inside is hit, and file operations with the file codes.
/// Paths are resolved inside the sandbox.
class sandbox_io {
public:
  virtual ~sandbox_io() = default;

  /// Starts a command and streams its output. Fails when it cannot start: not_a_directory or file_not_found
  /// (cwd), permission_denied, limit_reached.
  virtual io_task<result<std::unique_ptr<process_stream>>> exec(process_spec spec) = 0;
  /// Starts a command in the background; its output is kept in a bounded ring inside the sandbox.
  virtual io_task<result<process_info>> start(process_spec spec) = 0;
  virtual io_task<result<std::vector<process_info>>> processes() = 0;
  virtual io_task<result<process_info>> process(std::uint32_t process_id) = 0;
  /// Output of a background process from `offset` on. @param follow wait for more until it exits.
  virtual io_task<result<std::unique_ptr<process_stream>>> output(std::uint32_t process_id,
                                                                  std::uint64_t offset, bool follow) = 0;
  virtual io_task<result<void>> write_stdin(std::uint32_t process_id, std::string bytes, bool close) = 0;
  /// Tells a process's terminal its size; its programs are told when that is news. Fails with conflict when
  /// it has ended, with invalid_argument when it has no terminal.
  virtual io_task<result<void>> resize(std::uint32_t process_id, terminal_size size) = 0;
  /// @param tree signal everything the process started, else its process group leader alone.
  virtual io_task<result<void>> signal(std::uint32_t process_id, int signal, bool tree) = 0;

  /// @param length 0: to the end.
  virtual io_task<result<open_file>> read_file(std::string path, std::uint64_t offset,
                                               std::uint64_t length) = 0;
  virtual io_task<result<std::unique_ptr<byte_sink>>> write_file(write_options options) = 0;
  virtual io_task<result<file_info>> stat(std::string path) = 0;
  virtual io_task<result<std::vector<file_info>>> list(list_options options) = 0;
  virtual io_task<result<void>> make_directory(std::string path, std::uint32_t mode) = 0;
  virtual io_task<result<void>> move(std::string from, std::string to, bool overwrite) = 0;
  virtual io_task<result<void>> remove(std::string path, bool recursive) = 0;
  /// @param gzip compress it inside the sandbox.
  virtual io_task<result<std::unique_ptr<byte_source>>> archive(std::string directory, bool gzip) = 0;
  virtual io_task<result<std::unique_ptr<archive_sink>>> unarchive(std::string directory) = 0;
  virtual io_task<result<std::unique_ptr<watch_stream>>> watch(watch_options options) = 0;
};

/// Finds the data plane of a sandbox that was opened. Thread safe.
class data_plane {
public:
  virtual ~data_plane() = default;
  /// nullptr when the sandbox is not (or no longer) here.
  virtual std::shared_ptr<sandbox_io> find(const sandbox_id& id) = 0;
};

} // namespace sandy
