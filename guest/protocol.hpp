#pragma once

// What a server and a guest say to each other. One connection is one operation: the first frame asks, the
// rest belongs to it, and closing the connection cancels. Both sides are built from this header; the version
// tells a guest of another build.

#include "guest/wire.hpp"

namespace sandy::guest {

inline constexpr std::uint32_t protocol_version = 1;

/// Data frames carry at most this much, so that one stream never holds a large piece of memory on either
/// side.
inline constexpr std::size_t piece_bytes = 64 * 1024;

enum class frame_type : std::uint8_t {
  // The first frame of a connection.
  ping = 1,            ///< -> pong
  lease = 2,           ///< lease_request -> done
  spawn = 3,           ///< spawn_request, data*, end -> started, then (foreground) chunk*, exited
  output = 4,          ///< output_request -> chunk*, gap*, then exited, or still_running without `follow`
  signal = 5,          ///< signal_request -> done
  input = 6,           ///< input_request, data*, end -> done when the process's pipe took everything
  processes = 7,       ///< -> process*, done
  process = 8,         ///< process_request -> process
  read = 9,            ///< read_request -> entry, data*, end
  write = 10,          ///< write_request -> done; data*, commit -> entry
  stat = 11,           ///< path_request -> entry
  list = 12,           ///< list_request -> entry*, done
  make_directory = 13, ///< directory_request -> done
  move = 14,           ///< move_request -> done
  remove = 15,         ///< remove_request -> done
  watch = 16,          ///< watch_request -> done, change*
  activity = 17,       ///< -> quiet
  spawn_terminal = 18, ///< terminal_request, data*, end -> terminal_entry; without data: a shell
  resize = 19,         ///< resize_request -> done
  spawn_in_group = 20, ///< group_request, with a descriptor; the rest as for spawn
  spawn_as_user = 21,  ///< user_request; the rest as for spawn
  // What may follow it.
  data = 32,       ///< bytes of a script, an input or a file
  end = 33,        ///< no more data
  commit = 34,     ///< commit_request: put the file in place
  stdin_data = 35, ///< bytes for a foreground process
  stdin_end = 36,  ///< closes a foreground process's standard input
  // Answers.
  pong = 64,
  done = 65,
  failed = 66, ///< failure; always the last frame
  started = 67,
  chunk = 68, ///< u8 stream, u64 offset, bytes
  gap = 69,
  exited = 70,        ///< the last frame of a process stream
  still_running = 71, ///< the last frame of a stream that does not follow
  process_entry = 72,
  entry = 73, ///< a file's description
  change = 74,
  quiet = 75,
  terminal_entry = 76 ///< wherever a process_entry may come
};

/// What failed; says how the server words it.
enum class failure_kind : std::uint8_t {
  file = 1, ///< `error` is the errno, `subject` the path
  working_directory = 2,
  program = 3, ///< the program could not be executed
  start = 4,   ///< no process, pipe or memory could be had
  unknown_process = 5,
  process_ended = 6,
  input_closed = 7, ///< the process reads no input
  too_many = 8,     ///< a bound of the guest was reached; `subject` is the sentence
  invalid = 9,      ///< the request cannot be met; `subject` is the sentence
  protocol = 10,    ///< the request was not understood
  terminal = 11     ///< no terminal could be had
};

// Every struct names its frame and its fields once; encoding and decoding both follow `fields`.

struct pong {
  static constexpr auto type = frame_type::pong;
  std::uint32_t version = protocol_version;
  static void fields(auto& v, auto& x) { v(x.version); }
};

struct lease_request {
  static constexpr auto type = frame_type::lease;
  std::uint64_t milliseconds = 0; ///< 0: without end
  static void fields(auto& v, auto& x) { v(x.milliseconds); }
};

/// How long nothing that was asked for has shown a sign of life.
struct quiet {
  static constexpr auto type = frame_type::quiet;
  std::uint64_t milliseconds = 0; ///< since a process was started, wrote or ended; 0: a command runs
  static void fields(auto& v, auto& x) { v(x.milliseconds); }
};

struct spawn_request {
  static constexpr auto type = frame_type::spawn;
  static constexpr std::uint8_t background = 1, open_stdin = 2, kill_on_disconnect = 4, create_directory = 8;
  static constexpr std::uint8_t unheeded = 16; ///< what it does breaks no quiet; older guests think it does
  std::uint8_t flags = 0;
  std::string directory;         ///< absolute; `create_directory`: made when missing
  std::vector<std::string> env;  ///< NAME=value, complete
  std::vector<std::string> argv; ///< empty: the data frames are a shell script
  std::uint64_t timeout_ms = 0;  ///< 0: none
  std::uint64_t ring_bytes = 0;  ///< background: bound of the kept output
  static void fields(auto& v, auto& x) {
    v(x.flags), v(x.directory), v(x.env), v(x.argv), v(x.timeout_ms), v(x.ring_bytes);
  }
};

/// Longest script.
inline constexpr std::size_t max_script_bytes = 64 * 1024 * 1024;

/// How many characters a terminal shows.
struct window_size {
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
  static void fields(auto& v, auto& x) { v(x.columns), v(x.rows); }
};

/// Starts a background process on a pseudo-terminal: its input and both its outputs. A frame of its own, so
/// that what older guests understand stays as it is.
struct terminal_request {
  static constexpr auto type = frame_type::spawn_terminal;
  spawn_request process; ///< `background` and `open_stdin` are understood
  window_size window;
  static void fields(auto& v, auto& x) { v(x.process), v(x.window); }
};

/// Starts a process in a control group: the descriptor that comes with the frame (SCM_RIGHTS) is the group's
/// file that a process joins through. A frame of its own: a guest that knows no groups refuses it.
struct group_request {
  static constexpr auto type = frame_type::spawn_in_group;
  spawn_request process;
  static void fields(auto& v, auto& x) { v(x.process); }
};

/// Starts a process as a user of this root. A frame of its own: a guest that knows no users refuses it.
struct user_request {
  static constexpr auto type = frame_type::spawn_as_user;
  spawn_request process; ///< without HOME in its environment: the user's
  std::string user;      ///< "USER" or "USER:GROUP", names or numbers
  static void fields(auto& v, auto& x) { v(x.process), v(x.user); }
};

struct started {
  static constexpr auto type = frame_type::started;
  std::uint32_t process_id = 0;
  static void fields(auto& v, auto& x) { v(x.process_id); }
};

enum class stream_id : std::uint8_t { standard_output = 1, standard_error = 2 };

/// Precedes the bytes in a chunk frame.
struct chunk_head {
  static constexpr std::size_t size = 9;
  stream_id stream = stream_id::standard_output;
  std::uint64_t offset = 0;
  static void fields(auto& v, auto& x) { v(x.stream), v(x.offset); }
};

struct gap {
  static constexpr auto type = frame_type::gap;
  std::uint64_t from = 0, to = 0;
  static void fields(auto& v, auto& x) { v(x.from), v(x.to); }
};

struct exited {
  static constexpr auto type = frame_type::exited;
  std::int32_t exit_code = 0; ///< 128 + signal, 124 for a timeout
  std::int32_t signal = 0;
  bool timed_out = false;
  std::uint64_t duration_ms = 0;
  std::uint64_t output_bytes = 0;
  static void fields(auto& v, auto& x) {
    v(x.exit_code), v(x.signal), v(x.timed_out), v(x.duration_ms), v(x.output_bytes);
  }
};

struct output_request {
  static constexpr auto type = frame_type::output;
  std::uint32_t process_id = 0;
  std::uint64_t offset = 0;
  bool follow = true;
  static void fields(auto& v, auto& x) { v(x.process_id), v(x.offset), v(x.follow); }
};

struct signal_request {
  static constexpr auto type = frame_type::signal;
  std::uint32_t process_id = 0;
  std::int32_t signal = 0;
  bool tree = false;
  static void fields(auto& v, auto& x) { v(x.process_id), v(x.signal), v(x.tree); }
};

struct input_request {
  static constexpr auto type = frame_type::input;
  std::uint32_t process_id = 0;
  bool close = false; ///< close the process's standard input after the data
  static void fields(auto& v, auto& x) { v(x.process_id), v(x.close); }
};

struct process_request {
  static constexpr auto type = frame_type::process;
  std::uint32_t process_id = 0;
  static void fields(auto& v, auto& x) { v(x.process_id); }
};

struct process_entry {
  static constexpr auto type = frame_type::process_entry;
  std::uint32_t process_id = 0;
  std::string command;
  bool ended = false;
  exited exit;
  std::int64_t started_at_ms = 0; ///< since the Unix epoch
  std::uint64_t output_bytes = 0, output_start = 0;
  static void fields(auto& v, auto& x) {
    v(x.process_id), v(x.command), v(x.ended), v(x.exit), v(x.started_at_ms), v(x.output_bytes),
        v(x.output_start);
  }
};
inline constexpr std::size_t max_command_text = 4096;

/// A background process that has a terminal.
struct terminal_entry {
  static constexpr auto type = frame_type::terminal_entry;
  process_entry process;
  window_size window;
  static void fields(auto& v, auto& x) { v(x.process), v(x.window); }
};

struct resize_request {
  static constexpr auto type = frame_type::resize;
  std::uint32_t process_id = 0;
  window_size window;
  static void fields(auto& v, auto& x) { v(x.process_id), v(x.window); }
};

struct path_request {
  static constexpr auto type = frame_type::stat;
  std::string path; ///< absolute, as all paths
  static void fields(auto& v, auto& x) { v(x.path); }
};

struct read_request {
  static constexpr auto type = frame_type::read;
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t length = 0; ///< 0: to the end
  static void fields(auto& v, auto& x) { v(x.path), v(x.offset), v(x.length); }
};

struct write_request {
  static constexpr auto type = frame_type::write;
  std::string path;
  std::uint32_t mode = 0644;
  bool keep_mode = true;
  static void fields(auto& v, auto& x) { v(x.path), v(x.mode), v(x.keep_mode); }
};

struct commit_request {
  static constexpr auto type = frame_type::commit;
  bool base64 = false;
  static void fields(auto& v, auto& x) { v(x.base64); }
};

enum class entry_kind : std::uint8_t { regular, directory, symlink, other };

struct entry {
  static constexpr auto type = frame_type::entry;
  std::string path;
  entry_kind kind = entry_kind::regular;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;
  std::int64_t modified_at_ms = 0;
  std::string target;
  static void fields(auto& v, auto& x) {
    v(x.path), v(x.kind), v(x.size), v(x.mode), v(x.modified_at_ms), v(x.target);
  }
};

struct list_request {
  static constexpr auto type = frame_type::list;
  std::string path;
  bool recursive = true;
  bool skip_dependencies = true;
  std::uint32_t max_entries = 0;
  static void fields(auto& v, auto& x) {
    v(x.path), v(x.recursive), v(x.skip_dependencies), v(x.max_entries);
  }
};

struct directory_request {
  static constexpr auto type = frame_type::make_directory;
  std::string path;
  std::uint32_t mode = 0755;
  static void fields(auto& v, auto& x) { v(x.path), v(x.mode); }
};

struct move_request {
  static constexpr auto type = frame_type::move;
  std::string from, to;
  bool overwrite = false;
  static void fields(auto& v, auto& x) { v(x.from), v(x.to), v(x.overwrite); }
};

struct remove_request {
  static constexpr auto type = frame_type::remove;
  std::string path;
  bool recursive = false;
  static void fields(auto& v, auto& x) { v(x.path), v(x.recursive); }
};

struct watch_request {
  static constexpr auto type = frame_type::watch;
  std::string path;
  bool recursive = true;
  bool skip_dependencies = false; ///< look into no directory that is_dependency
  static void fields(auto& v, auto& x) { v(x.path), v(x.recursive), v(x.skip_dependencies); }
};

enum class change_kind : std::uint8_t { created, modified, deleted, moved, overflow };

struct change {
  static constexpr auto type = frame_type::change;
  change_kind kind = change_kind::created;
  std::string path, from; ///< relative to the watched directory
  bool directory = false;
  static void fields(auto& v, auto& x) { v(x.kind), v(x.path), v(x.from), v(x.directory); }
};

struct failure {
  static constexpr auto type = frame_type::failed;
  failure_kind kind = failure_kind::file;
  std::int32_t error = 0; ///< errno
  std::string subject;
  static void fields(auto& v, auto& x) { v(x.kind), v(x.error), v(x.subject); }
};

/// Appends the fields of `message`, without a frame around them.
template <class T>
void append_fields(std::string& out, const T& message) {
  writer w{out};
  T::fields(w, message);
}

/// Appends `message` as one frame.
template <class T>
void append_frame(std::string& out, const T& message) {
  auto start = out.size();
  out.append(header_bytes, '\0');
  append_fields(out, message);
  put_header(out.data() + start, static_cast<std::uint32_t>(out.size() - start - header_bytes),
             static_cast<std::uint8_t>(T::type));
}

/// Appends a frame that is its type alone, or carries bytes as they are.
inline void append_frame(std::string& out, frame_type type, std::string_view bytes = {}) {
  append_raw(out, static_cast<std::uint8_t>(type), bytes);
}

/// The message in a payload; nothing when it is not exactly one.
template <class T>
std::optional<T> decode(std::string_view payload) {
  T message;
  reader r{payload};
  T::fields(r, message);
  if (!r.complete())
    return std::nullopt;
  return message;
}

} // namespace sandy::guest
