#include "guest/process_table.hpp"

#include "guest/paths.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sandy::guest {
namespace {

struct pipe_ends {
  unique_fd reader, writer;
  /// @return false with errno.
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return false;
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    return true;
  }
};

/// Our end never blocks; the child's is left as programs expect it (the flag belongs to the open file, one
/// per end).
bool set_nonblocking(const unique_fd& fd) { return ::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0; }

/// A smaller one would lose most of what a program prints at once.
constexpr std::size_t smallest_ring = 4096;

process_table::outcome refused(failure_kind kind, int error, std::string subject = {}) {
  return {nullptr, failure{kind, error, std::move(subject)}};
}

} // namespace

std::unique_ptr<ring> process_table::make_ring(std::uint64_t wanted_bytes, failure& why) {
  auto bytes =
      wanted_bytes == 0 ? default_ring : std::clamp<std::uint64_t>(wanted_bytes, smallest_ring, max_ring);
  if (!make_room(bytes)) {
    why = {failure_kind::too_many, 0, "Too many background processes are running"};
    return nullptr;
  }
  auto kept = std::make_unique<ring>(bytes);
  if (!kept->ok()) {
    why = {failure_kind::start, ENOMEM, {}};
    return nullptr;
  }
  return kept;
}

process_table::outcome process_table::launch(const spawn_plan& plan, std::string command,
                                             std::uint64_t& last_sign_ms) {
  auto made = std::make_unique<process>(loop_, next_id_, std::move(command), last_sign_ms);
  auto spawned = spawn(plan, defaults_);
  if (spawned.pid < 0)
    return refused(spawned.stage, spawned.error, std::move(spawned.subject));
  ++next_id_;
  auto* raw = made.get();
  by_pid_[spawned.pid] = raw;
  processes_[raw->id()] = std::move(made);
  raw->set_pid(spawned.pid);
  return {raw, {}};
}

process_table::outcome process_table::start(const spawn_request& request, std::vector<std::string> argv,
                                            borrowed_fds fds, std::string command, output_sink* sink,
                                            const credentials* user) {
  std::unique_ptr<ring> kept;
  if (request.flags & spawn_request::background) {
    failure why;
    kept = make_ring(request.ring_bytes, why);
    if (!kept)
      return {nullptr, std::move(why)};
  }
  if (request.flags & spawn_request::create_directory)
    make_directories(request.directory, 0755); // a failure shows when the child changes to it
  pipe_ends in, out, err;
  if (!out.open() || !err.open() || !set_nonblocking(out.reader) || !set_nonblocking(err.reader))
    return refused(failure_kind::start, errno);
  if (request.flags & spawn_request::open_stdin) {
    if (!in.open() || !set_nonblocking(in.writer))
      return refused(failure_kind::start, errno);
  } else {
    in.reader.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!in.reader)
      return refused(failure_kind::start, errno);
  }
  if (user) // programs open what /dev/stdout leads to; where they may not, they say so
    for (auto* end : {&out.writer, &err.writer}) [[maybe_unused]]
      auto given = ::fchown(end->get(), user->uid, user->gid);
  auto started =
      launch({std::move(argv),
              request.env,
              request.directory,
              {in.reader.get(), out.writer.get(), err.writer.get()},
              fds.script,
              fds.group,
              false,
              user},
             std::move(command), request.flags & spawn_request::unheeded ? unheeded_sign_ms_ : last_sign_ms_);
  if (!started.made)
    return started;
  if (kept)
    started.made->keep_output(std::move(kept));
  if (in.writer)
    started.made->input().open(std::move(in.writer));
  started.made->begin(std::move(out.reader), std::move(err.reader), request.timeout_ms, sink);
  return started;
}

process_table::outcome process_table::start_on_terminal(const spawn_request& request, window_size window,
                                                        std::vector<std::string> argv, int script_fd,
                                                        std::string command) {
  failure why;
  auto kept = make_ring(request.ring_bytes, why);
  if (!kept)
    return {nullptr, std::move(why)};
  if (request.flags & spawn_request::create_directory)
    make_directories(request.directory, 0755);
  terminal_ends ends;
  if (!ends.open(window))
    return refused(failure_kind::terminal, errno);
  // Input and output are watched apart, and a descriptor has one place in the loop.
  unique_fd typed{::fcntl(ends.master.get(), F_DUPFD_CLOEXEC, 0)};
  if (!typed)
    return refused(failure_kind::start, errno);
  auto program = ends.program.get();
  auto started = launch(
      {std::move(argv), request.env, request.directory, {program, program, program}, script_fd, -1, true},
      std::move(command), last_sign_ms_);
  if (!started.made)
    return started;
  started.made->keep_output(std::move(kept));
  started.made->keep_terminal(std::move(ends.program), window);
  started.made->input().open(std::move(typed));
  started.made->begin(std::move(ends.master), {}, request.timeout_ms, nullptr);
  return started;
}

bool process_table::make_room(std::size_t ring_bytes) {
  std::size_t running = 0, records = 0, bytes = ring_bytes;
  each_background([&](process& one) {
    running += !one.finished();
    ++records;
    bytes += one.kept()->capacity();
  });
  if (running >= max_running)
    return false;
  for (auto it = processes_.begin();
       it != processes_.end() && (records >= max_records || bytes > max_ring_total);) {
    if (it->second->background() && it->second->idle() && !it->second->followed()) {
      --records;
      bytes -= it->second->kept()->capacity();
      it = processes_.erase(it);
    } else {
      ++it;
    }
  }
  return records < max_records && bytes <= max_ring_total;
}

process* process_table::find(std::uint32_t id) {
  auto it = processes_.find(id);
  return it == processes_.end() ? nullptr : it->second.get();
}

std::uint64_t process_table::quiet_ms() const {
  auto runs = [](const auto& item) { return !item.second->background() && !item.second->finished(); };
  return std::any_of(processes_.begin(), processes_.end(), runs) ? 0 : monotonic_ms() - last_sign_ms_;
}

void process_table::reap() {
  int status = 0;
  for (;;) {
    auto pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR)
      continue;
    if (pid <= 0)
      return;
    auto it = by_pid_.find(pid);
    if (it == by_pid_.end())
      continue; // an orphan: nobody waits for it
    auto* ended = it->second;
    by_pid_.erase(it);
    ended->on_reaped(status);
  }
}

void process_table::sweep() {
  std::erase_if(processes_,
                [](const auto& item) { return !item.second->background() && item.second->idle(); });
}

} // namespace sandy::guest
