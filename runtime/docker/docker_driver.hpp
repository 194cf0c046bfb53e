#pragma once

#include "runtime/docker/box.hpp"
#include "runtime/docker/engine.hpp"
#include "runtime/docker/engine_images.hpp"
#include "runtime/host_driver.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sandy::runtime {

struct docker_options {
  std::string data_dir;  ///< what the driver keeps is in `docker/` below it, layers in `layers/`; absolute
  std::string image_dir; ///< see image_store; may be shared with other drivers and servers
  std::string engine_socket; ///< where the engine listens, of this machine
  std::string guest;         ///< path of sandy-guest
  std::string exporter;      ///< path of sandy-export-tree
  std::vector<std::string> guest_arguments;
  std::chrono::milliseconds create_timeout = std::chrono::seconds{60}; ///< for all of create; 0.3 s is normal
  std::chrono::milliseconds copy_timeout = std::chrono::seconds{120};  ///< for copying a layer
  /// How old the size of what a sandbox wrote may be: the engine walks through all of it.
  std::chrono::milliseconds size_age = std::chrono::seconds{60};
};

/// Sandboxes as containers of Docker's engine, or of another with its interface, on this machine: for
/// software that has to run under that engine. Their process 1 is the guest, their network and their control
/// groups are used as crun_driver uses them. See README.md beside this file for what is different. Needs
/// root.
class docker_driver final : public host_driver {
public:
  /// Prepares what all sandboxes share; the engine need not run yet. Fails with invalid_argument (options) or
  /// internal (the machine cannot do it).
  static result<std::unique_ptr<docker_driver>> make(docker_options options);

  /// Sandboxes live on.
  ~docker_driver() override;

  std::string name() const override { return "docker"; }
  result<instance> create(const sandbox_spec& spec) override;
  result<bool> prepare_image(const sandbox_spec& spec) override {
    return prepare_image(spec.image, spec.layer);
  }
  result<bool> prepare_image(const container_spec& spec) override { return prepare_image(spec.image, {}); }
  result<instance> attach(const sandbox_id& id) override;
  result<void> destroy(const sandbox_id& id) override;
  result<std::vector<sandbox_id>> list() override;
  result<usage> stats(const sandbox_id& id) override;
  result<void> set_limits(const sandbox_id& id, const resource_limits& limits) override;
  result<void> sweep_images() override;
  result<instance> create_container(const container_spec& spec) override;
  result<instance> attach_container(const sandbox_id& sandbox, const container_id& id) override;
  result<void> destroy_container(const sandbox_id& sandbox, const container_id& id) override;
  result<std::vector<container_id>> containers(const sandbox_id& sandbox) override;

  /// Whether this driver holds anything for a sandbox.
  bool knows(const sandbox_id& id) const;
  /// How the engine tells what is this driver's from the rest.
  const std::string& server() const noexcept { return server_; }

private:
  docker_driver(docker_options options, cgroup_layout layout, std::string seccomp, std::string server);

  /// The profile of sandboxes as a file, for an engine that wants its path.
  static std::string seccomp_file_in(const std::string& home) { return home + "/seccomp.json"; }

  using host_paths = std::vector<std::string>;
  result<bool> prepare_image(const std::string& image, const layer_id& layer);
  /// Bytes that it wrote, as far as that is known.
  std::uint64_t written_by(const sandbox_id& id);
  /// A sandbox that a container is made in.
  struct host_sandbox {
    sandbox_id id;
    std::string container; ///< the engine's id
    std::string cgroup;    ///< path within the trees
  };
  result<host_sandbox> open_host(const sandbox_id& id) const;
  /// @param within set: it is a container there.
  result<instance> start(const sandbox_spec& spec, const docker::box_files& files, const origin& from,
                         const host_paths& trees, const host_sandbox* within);
  /// Moves a container from the group that the engine made for it into its sandbox's.
  result<void> move_into(const host_sandbox& host, const sandbox_spec& spec, docker::box_state& state,
                         int init) const;
  /// Makes what the guest is given its program and its socket through; returns who listens there.
  result<unique_fd> open_hatch(const docker::box_files& files) const;
  /// @returns the engine's id.
  result<std::string> make_container(const sandbox_spec& spec, const docker::box_files& files,
                                     const origin& from, const host_paths& trees, const host_sandbox* within,
                                     steady_time deadline);
  result<docker::box_state> inspect(const std::string& container, steady_time deadline) const;
  result<instance> find_running(const docker::box_files& files, const docker::box_state& state,
                                std::chrono::milliseconds patience) const;
  /// Kills what runs in a sandbox or a container. @param processes all that it has, by their group.
  static result<void> kill_all_of(const docker::box_files& files, const cgroup& processes,
                                  steady_time deadline);
  /// Removes what is left of it then. @param id of either.
  result<void> remove_all_of(const std::string& id, const docker::box_files& files,
                             steady_time deadline) const;
  result<void> remove_from_engine(const std::string& id, steady_time deadline) const;
  cgroup group(const sandbox_id& id) const override;
  result<layer_source> source_of(const sandbox_id& id) override;
  std::string copying_mark(const sandbox_id& id) const override { return files_of(id).copying; }
  std::string without_host_paths(std::string text) const override;
  /// The same error with more words, without paths of the host.
  caf::error for_callers(const caf::error& err, const std::string& more) const;
  docker::box_files files_of(const sandbox_id& id) const { return {home_, id}; }
  /// What the engine calls it. @param id of a sandbox or of a container in one.
  std::string container_name(const std::string& id) const { return "sandy-" + server_ + "-" + id; }

  docker_options options_;
  std::string home_;    ///< `docker/` in the data directory
  std::string server_;  ///< a number made from it
  std::string seccomp_; ///< see seccomp_profile
  docker::engine engine_;
  docker::engine_images engine_images_;
  struct known_size {
    std::uint64_t bytes = 0;
    steady_time asked;
  };
  std::mutex sizes_mutex_;
  std::map<sandbox_id, known_size> sizes_;
  std::mutex sizing_; ///< held by who asks for one
};

} // namespace sandy::runtime
