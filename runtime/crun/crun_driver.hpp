#pragma once

#include "runtime/crun/sandbox_files.hpp"
#include "runtime/disk_image.hpp"
#include "runtime/host_driver.hpp"

#include <chrono>
#include <string>

namespace sandy::runtime {

struct crun_options {
  std::string data_dir;  ///< everything of ours on disk is below; absolute, at most `longest_data_dir` bytes
  std::string image_dir; ///< see image_store; may be shared with other servers
  std::string crun = "/usr/bin/crun";
  std::string guest;    ///< path of sandy-guest
  std::string launcher; ///< path of sandy-launch
  std::string copier;   ///< path of sandy-copy-layer
  std::vector<std::string> guest_arguments;
  std::string cgroup_parent; ///< absolute; nobody else's. Empty: "/sandy-" and a number made from data_dir
  std::uint32_t uid_base = 0x10000000; ///< host uid of the root in slot 0
  std::chrono::milliseconds create_timeout =
      std::chrono::seconds{10}; ///< for all of create; about 20 ms is normal
  std::chrono::milliseconds copy_timeout = std::chrono::seconds{120}; ///< for copying a layer
};

/// Sandboxes as crun containers, each with every namespace of its own and process 1 the guest. Works with
/// control groups of v1 and v2. Needs root and kernel 5.19. See README.md beside this file for how a sandbox
/// is put together.
class crun_driver final : public host_driver {
public:
  /// Prepares what all sandboxes share. Two drivers may live on one machine as long as their data directories
  /// differ. Blocking, about 20 ms. Fails with invalid_argument (options) or internal (the machine cannot do
  /// it).
  static result<std::unique_ptr<crun_driver>> make(crun_options options);

  /// Sandboxes live on; only what is empty is tidied away.
  ~crun_driver() override;

  std::string name() const override { return "crun"; }
  result<instance> create(const sandbox_spec& spec) override;
  result<instance> attach(const sandbox_id& id) override;
  result<void> destroy(const sandbox_id& id) override;
  result<std::vector<sandbox_id>> list() override;
  result<usage> stats(const sandbox_id& id) override;
  result<instance> create_container(const container_spec& spec) override;
  result<instance> attach_container(const sandbox_id& sandbox, const container_id& id) override;
  result<void> destroy_container(const sandbox_id& sandbox, const container_id& id) override;
  result<std::vector<container_id>> containers(const sandbox_id& sandbox) override;

  /// Where this driver's control groups are, in every tree.
  const std::string& cgroup_parent() const noexcept { return cgroup_parent_; }

private:
  crun_driver(crun_options options, cgroup_layout layout, std::string seccomp, unique_fd guest,
              std::string stage);

  using host_paths = std::vector<std::string>;
  /// A sandbox that a container is made in.
  struct host_sandbox {
    sandbox_id id;
    unique_fd user, network; ///< its namespaces
    host_paths joining;      ///< control groups, see cgroup::joining_files
  };
  static result<host_sandbox> open_host(const sandbox_id& id, const sandbox_files& files);
  result<void> prepare(const sandbox_spec& spec, const sandbox_files& files, const origin& from,
                       const host_sandbox* within);
  result<void> launch(const sandbox_spec& spec, const sandbox_files& files, const host_paths& trees,
                      const host_sandbox* within, steady_time deadline);
  /// @param within set: it is a container there.
  result<instance> start(const sandbox_spec& spec, const sandbox_files& files, const origin& from,
                         const host_paths& trees, const host_sandbox* within);
  /// Kills what runs in a sandbox or a container, and what is at work on it.
  static result<void> kill_all_of(const sandbox_files& files, const cgroup& processes, steady_time deadline);
  /// Removes what is left of it then.
  static result<void> remove_all_of(const sandbox_files& files, const cgroup& processes,
                                    steady_time deadline);
  result<layer_source> source_of(const sandbox_id& id) override;
  std::string copying_mark(const sandbox_id& id) const override {
    return sandbox_files{options_.data_dir, id}.copying;
  }
  /// @param id of the sandbox; `files` may be those of a container in it.
  result<instance> find_running(const sandbox_id& id, const sandbox_files& files,
                                std::chrono::milliseconds patience);
  cgroup group(const sandbox_id& id) const override { return {layout_, cgroup_parent_ + "/" + id.value}; }
  std::uint32_t root_uid(const sandbox_spec& spec) const;
  std::string without_host_paths(std::string text) const override;

  crun_options options_;
  std::string cgroup_parent_;
  std::string seccomp_base64_;
  unique_fd guest_;   ///< see seal_program
  std::string stage_; ///< where launchers mount, each in its own namespace
  disk_maker disks_;
};

} // namespace sandy::runtime
