// How crun_driver keeps what a sandbox wrote; the rest of the driver is in crun_driver.cpp.

#include "runtime/child_process.hpp"
#include "runtime/crun/crun_driver.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <unistd.h>

namespace sandy::runtime {

namespace {

using namespace std::chrono_literals;

/// With the kernel: until a sandbox stands still, until a copier is dead.
constexpr auto patience = 5s;

/// A sandbox that stands still for a while. One that was frozen before stays so.
class standstill {
public:
  explicit standstill(cgroup group)
      : group_(std::move(group))
      , before_(group_.frozen()) {}
  standstill(const standstill&) = delete;
  standstill& operator=(const standstill&) = delete;
  ~standstill() {
    if (begun_ && !before_)
      group_.thaw();
  }
  result<void> begin() {
    begun_ = true;
    return group_.freeze(std::chrono::steady_clock::now() + patience);
  }

private:
  cgroup group_;
  bool before_;
  bool begun_ = false;
};

/// A file that goes with its owner.
struct temporary_file {
  std::string path;
  explicit temporary_file(std::string at)
      : path(std::move(at)) {}
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { ::unlink(path.c_str()); }
};

} // namespace

/// Keeps an id among those that are being copied.
class crun_driver::copying_note {
public:
  copying_note(crun_driver& driver, std::string id)
      : driver_(driver)
      , id_(std::move(id)) {
    std::lock_guard guard{driver_.copying_mutex_};
    driver_.copying_.insert(id_);
  }
  copying_note(const copying_note&) = delete;
  copying_note& operator=(const copying_note&) = delete;
  ~copying_note() {
    std::lock_guard guard{driver_.copying_mutex_};
    driver_.copying_.erase(id_);
  }

private:
  crun_driver& driver_;
  std::string id_;
};

result<layer_copy> crun_driver::copy_layer(const sandbox_id& id, const layer_id& to) {
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  copying_note note{*this, id.value};
  sandbox_files files{options_.data_dir, id};
  auto from = read_origin(files.origin);
  if (!from)
    return std::move(from.error());
  if (auto room = layers_.has_room_above(*from); !room)
    return std::move(room.error());
  auto status = read_status(files);
  auto init = status ? open_init(*status) : unique_fd{};
  if (!init)
    return fail(errc::sandbox_failed, "the sandbox does not run");
  auto size = used_bytes("/proc/" + std::to_string(status->init_pid) + "/root");
  if (auto space = layers_.has_space_for(size); !space)
    return std::move(space.error());

  auto lock = lock_file(files.copying);
  if (!lock)
    return std::move(lock.error());
  temporary_file mark{files.copying};
  standstill still{group(id)};
  layer_store::making layer{layers_, to};
  if (auto begun = layer.begin(); !begun)
    return std::move(begun.error());
  if (auto stopped = still.begin(); !stopped)
    return std::move(stopped.error());
  if (auto copied = run_copier(files, layer.tree(), lock->get()); !copied)
    return fail(code_of(copied.error()), without_host_paths(text_of(copied.error())));
  if (auto done = layer.finish(*from); !done)
    return std::move(done.error());
  return layer_copy{from->top, size};
}

result<void> crun_driver::run_copier(const sandbox_files& files, const std::string& target, int lock) {
  auto loop = read_small_file(files.loop).value_or("");
  while (loop.ends_with('\n'))
    loop.pop_back();
  auto status = read_status(files);
  // "0 UID 65536": the kernel's word for who the sandbox's root is.
  auto map =
      read_small_file("/proc/" + std::to_string(status ? status->init_pid : 0) + "/uid_map").value_or("");
  auto first = map.find_first_not_of(' ', map.find_first_of(' ', map.find_first_not_of(' ')));
  auto uid = first == std::string::npos ? std::string{} : map.substr(first, map.find(' ', first) - first);
  if (loop.empty() || uid.empty())
    return fail(errc::sandbox_failed, "the sandbox does not run");
  child_command command;
  command.arguments = {options_.copier, stage_, loop, uid, target};
  command.descriptors = {lock};
  command.deadline = std::chrono::steady_clock::now() + options_.copy_timeout;
  auto outcome = run_child(command);
  if (!outcome)
    return std::move(outcome.error());
  if (outcome->timed_out)
    return fail(errc::sandbox_failed, "what the sandbox wrote could not be copied in time");
  if (outcome->exit_status != 0)
    return fail(mentions_exhaustion(outcome->errors) ? errc::capacity_exhausted : errc::sandbox_failed,
                "what the sandbox wrote could not be copied: " + complaint(*outcome));
  return caf::unit;
}

void crun_driver::end_copying(const sandbox_files& files) {
  {
    std::lock_guard guard{copying_mutex_};
    if (copying_.contains(files.id.value))
      return;
  }
  if (stop_holders(files.copying, std::chrono::steady_clock::now() + patience))
    ::unlink(files.copying.c_str());
}

result<void> crun_driver::end_copies() {
  std::set<std::string> all;
  {
    std::lock_guard guard{copying_mutex_};
    all = copying_;
  }
  result<void> outcome = caf::unit;
  for (const auto& id : all)
    if (auto ended = stop_holders(sandbox_files{options_.data_dir, {id}}.copying,
                                  std::chrono::steady_clock::now() + patience);
        !ended)
      outcome = std::move(ended);
  return outcome;
}

result<void> crun_driver::remove_layer(const layer_id& id) { return layers_.remove(id); }

} // namespace sandy::runtime
