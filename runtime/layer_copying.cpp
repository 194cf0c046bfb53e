// How host_driver keeps what a sandbox wrote; the rest of it is in host_driver.cpp.

#include "runtime/child_process.hpp"
#include "runtime/crun/sandbox_files.hpp"
#include "runtime/host_driver.hpp"
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

/// Keeps an id among those that are being copied, and its lock.
class host_driver::copying_note {
public:
  copying_note(host_driver& driver, std::string id, std::string lock)
      : driver_(driver)
      , id_(std::move(id)) {
    std::lock_guard guard{driver_.copying_mutex_};
    driver_.copying_[id_] = std::move(lock);
  }
  copying_note(const copying_note&) = delete;
  copying_note& operator=(const copying_note&) = delete;
  ~copying_note() {
    std::lock_guard guard{driver_.copying_mutex_};
    driver_.copying_.erase(id_);
  }

private:
  host_driver& driver_;
  std::string id_;
};

result<layer_copy> host_driver::copy_layer(const sandbox_id& id, const layer_id& to) {
  if (!is_sandbox_id(id.value))
    return fail(errc::sandbox_not_found, "the sandbox does not run");
  auto mark_path = copying_mark(id);
  copying_note note{*this, id.value, mark_path};
  auto source = source_of(id);
  if (!source)
    return std::move(source.error());
  if (auto room = layers_.has_room_above(source->from); !room)
    return std::move(room.error());
  if (auto space = layers_.has_space_for(source->size_bytes); !space)
    return std::move(space.error());

  auto lock = lock_file(mark_path);
  if (!lock)
    return std::move(lock.error());
  temporary_file mark{mark_path};
  standstill still{group(id)};
  layer_store::making layer{layers_, to};
  if (auto begun = layer.begin(); !begun)
    return std::move(begun.error());
  if (auto stopped = still.begin(); !stopped)
    return std::move(stopped.error());
  if (auto copied = run_copier(std::move(source->copier), source->timeout, layer.tree(), lock->get());
      !copied)
    return fail(code_of(copied.error()), without_host_paths(text_of(copied.error())));
  if (auto done = layer.finish(source->from); !done)
    return std::move(done.error());
  return layer_copy{source->from.top, source->size_bytes};
}

result<void> host_driver::run_copier(std::vector<std::string> copier, std::chrono::milliseconds timeout,
                                     const std::string& target, int lock) {
  child_command command;
  command.arguments = std::move(copier);
  command.arguments.push_back(target);
  command.descriptors = {lock};
  command.deadline = std::chrono::steady_clock::now() + timeout;
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

void host_driver::end_copying(const sandbox_id& id) {
  {
    std::lock_guard guard{copying_mutex_};
    if (copying_.contains(id.value))
      return;
  }
  auto mark = copying_mark(id);
  if (stop_holders(mark, std::chrono::steady_clock::now() + patience))
    ::unlink(mark.c_str());
}

result<void> host_driver::end_copies() {
  std::map<std::string, std::string> all;
  {
    std::lock_guard guard{copying_mutex_};
    all = copying_;
  }
  result<void> outcome = caf::unit;
  for (const auto& [id, mark] : all)
    if (auto ended = stop_holders(mark, std::chrono::steady_clock::now() + patience); !ended)
      outcome = std::move(ended);
  return outcome;
}

} // namespace sandy::runtime
