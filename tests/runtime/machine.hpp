#pragma once

#include "runtime/crun/crun_driver.hpp"
#include "tests/runtime/driver_machine.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sandy::test {

/// What the machine holds for sandboxes of one data directory, a line each: mounts in any mount namespace,
/// processes, control groups, loop devices, files.
std::vector<std::string> traces_of(const std::string& data_dir, const std::string& cgroup_parent);

/// Processes of the machine that live in this namespace, as /proc/PID/ns/NAME reads.
std::vector<pid_t> processes_in_namespace(const std::string& kind, const std::string& name);

/// The bytes in /proc/PID/ns/KIND, e.g. "net:[4026531840]".
std::string namespace_of(pid_t pid, const std::string& kind);

/// A crun driver on a data directory of its own. Needs root: fails the test otherwise. On destruction every
/// sandbox is destroyed and it is an error if anything of them is left.
class machine : public driver_machine {
public:
  machine();
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;
  ~machine() override;

  runtime::crun_driver& driver() override { return *driver_; }
  void restart() override;
  void restart(const runtime::crun_options& options);

  runtime::sandbox_spec spec() override;
  bool bounds_disks() const override { return true; }

  const runtime::crun_options& options() const { return options_; }
  std::vector<std::string> traces() const override { return traces_of(options_.data_dir, cgroup_parent_); }
  runtime::sandbox_files files(const sandbox_id& id) const { return {options_.data_dir, id}; }
  std::string cgroup_of(const sandbox_id& id) const { return cgroup_parent_ + "/" + id.value; }
  /// An executable shell script below the data directory, to stand in for crun.
  std::string script(const std::string& name, const std::string& body);

private:
  temporary_directory directory_; ///< unreachable for others on purpose: sandboxes must not need it
  runtime::crun_options options_;
  std::unique_ptr<runtime::crun_driver> driver_;
  std::string cgroup_parent_;
  std::uint32_t next_slot_ = 0;
};

/// The options the tests use. Fails the test without root or without the image.
runtime::crun_options test_options(const std::string& data_dir);

} // namespace sandy::test
