#include "runtime/crun/sandbox_files.hpp"

#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>

#include <thread>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

result<unique_fd> open_locked(const std::string& path, int flags) {
  unique_fd file{::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600)};
  if (!file)
    return system_failure("cannot open the sandbox's lock", errno,
                          errno == ENOENT ? errc::sandbox_not_found : errc::internal);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(errc::conflict, "the sandbox is still being worked on");
    return system_failure("cannot lock the sandbox");
  }
  return file;
}

} // namespace

std::string boxes_directory(const std::string& data_dir) { return data_dir + "/sandboxes"; }
std::string states_directory(const std::string& data_dir) { return data_dir + "/crun"; }

sandbox_files::sandbox_files(const std::string& data_dir, const sandbox_id& whose)
    : id(whose)
    , box(boxes_directory(data_dir) + "/" + whose.value)
    , config(box + "/config.json")
    , containers(box + "/containers")
    , copying(box + "/copying")
    , disk(box + "/disk")
    , origin(box + "/origin.json")
    , loop(box + "/loop")
    , lock(box + "/lock")
    , socket(box + "/sock")
    , state(states_directory(data_dir) + "/" + whose.value) {}

std::optional<crun_status> read_status(const sandbox_files& files) {
  auto text = read_small_file(files.state + "/status");
  if (!text)
    return std::nullopt;
  auto parsed = nlohmann::json::parse(*text, nullptr, false);
  if (!parsed.is_object())
    return std::nullopt; // crun was killed while writing it
  auto pid = parsed.find("pid"), start = parsed.find("process-start-time");
  if (pid == parsed.end() || start == parsed.end() || !pid->is_number_integer() ||
      !start->is_number_integer())
    return std::nullopt;
  return crun_status{pid->get<std::int32_t>(), start->get<std::uint64_t>()};
}

unique_fd open_init(const crun_status& status) {
  auto pidfd = open_pidfd(status.init_pid);
  // Checked after it is open: from here on the descriptor cannot come to mean another process.
  if (!pidfd || process_start_ticks(status.init_pid) != status.init_start_ticks)
    return unique_fd{};
  return std::move(*pidfd);
}

result<unique_fd> lock_file(const std::string& path) { return open_locked(path, O_CREAT); }

result<unique_fd> lock_creation(const sandbox_files& files) { return lock_file(files.lock); }

result<void> stop_holders(const std::string& lock, steady_time deadline) {
  auto patience_ends = std::chrono::steady_clock::now() + 20ms;
  for (auto pause = 1ms;; pause = std::min(pause * 2, std::chrono::milliseconds{20})) {
    auto held = open_locked(lock, 0);
    if (held || code_of(held.error()) == errc::sandbox_not_found)
      return caf::unit;
    if (code_of(held.error()) != errc::conflict || std::chrono::steady_clock::now() > deadline)
      return held.error();
    // Rare: only when a server died, or a helper hung, in the middle of its work. For a moment the lock may
    // also be in a helper that another thread is just starting and that has not closed what it inherited;
    // that one is let be.
    if (std::chrono::steady_clock::now() > patience_ends)
      for (auto pid : processes_holding(lock))
        ::kill(pid, SIGKILL);
    std::this_thread::sleep_for(pause);
  }
}

} // namespace sandy::runtime
