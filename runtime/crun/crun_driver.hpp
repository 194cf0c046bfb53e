#pragma once

#include "runtime/cgroup.hpp"
#include "runtime/crun/layer_store.hpp"
#include "runtime/crun/sandbox_files.hpp"
#include "runtime/disk_image.hpp"
#include "runtime/driver.hpp"
#include "runtime/image_store.hpp"
#include "runtime/oci/published_images.hpp"

#include <chrono>
#include <mutex>
#include <set>
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
class crun_driver final : public driver {
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
  result<void> verify(const sandbox_id& id, const instance& where) override;
  result<void> pause(const sandbox_id& id) override;
  result<void> resume(const sandbox_id& id) override;
  result<unique_fd> make_group(const sandbox_id& id, const std::string& name) override;
  result<void> end_group(const sandbox_id& id, const std::string& name) override;
  result<void> remove_empty_groups(const sandbox_id& id) override;
  result<std::chrono::milliseconds> quiet_time(const instance& where) override;
  result<void> destroy(const sandbox_id& id) override;
  result<std::vector<sandbox_id>> list() override;
  result<usage> stats(const sandbox_id& id) override;
  result<void> set_limits(const sandbox_id& id, const resource_limits& limits) override;
  result<unix_millis> image_changed_at(const std::string& image) override {
    return images_.changed_at(image);
  }
  result<std::vector<installed_image>> images() override;
  result<void> remove_image(const std::string& name) override { return imported_.remove(name); }
  result<void> sweep_images() override { return imported_.sweep(); }
  bool has_program(const std::string& name) override { return images_.has_program(name); }
  bool has_program(const std::string& name, const instance& where) override {
    return images_.has_program(name, where.image_version);
  }
  result<unique_fd> connect(const instance& where, std::uint16_t port) override;
  result<unique_fd> listen(const instance& where, std::uint16_t port) override;
  result<unique_fd> open_socket(const instance& where, int family) override;
  result<connection_capture> capture(const instance& where, const captured_range& range) override;
  result<network_capture> capture_network(const instance& where) override;
  result<layer_copy> copy_layer(const sandbox_id& id, const layer_id& to) override;
  result<void> end_copies() override;
  result<void> remove_layer(const layer_id& id) override;
  result<std::vector<layer_id>> layers() override { return layers_.list(); }

  /// Where this driver's control groups are, in every tree.
  const std::string& cgroup_parent() const noexcept { return cgroup_parent_; }

private:
  crun_driver(crun_options options, cgroup_layout layout, std::string seccomp, unique_fd guest,
              std::string stage);

  using host_paths = std::vector<std::string>;
  result<void> prepare(const sandbox_spec& spec, const sandbox_files& files, const origin& from);
  result<void> launch(const sandbox_spec& spec, const sandbox_files& files, const host_paths& trees,
                      steady_time deadline);
  result<instance> start(const sandbox_spec& spec, const sandbox_files& files, const origin& from,
                         const host_paths& trees);
  result<void> run_copier(const sandbox_files& files, const std::string& target, int lock);
  /// Ends the copying that a killed server left at work. Its sandbox still stands still: the owner's record
  /// says whether it should. Copying of our own goes on.
  void end_copying(const sandbox_files& files);
  class copying_note;
  result<instance> find_running(const sandbox_id& id, const sandbox_files& files,
                                std::chrono::milliseconds patience);
  cgroup group(const sandbox_id& id) const { return {layout_, cgroup_parent_ + "/" + id.value}; }
  std::uint32_t root_uid(const sandbox_spec& spec) const;
  std::string without_host_paths(std::string text) const;

  crun_options options_;
  cgroup_layout layout_;
  std::string cgroup_parent_;
  std::string seccomp_base64_;
  unique_fd guest_;   ///< see seal_program
  std::string stage_; ///< where launchers mount, each in its own namespace
  image_store images_;
  layer_store layers_;
  oci::published_images imported_;
  std::mutex copying_mutex_;
  std::set<std::string> copying_; ///< ids of sandboxes that this server copies now
  disk_maker disks_;
};

} // namespace sandy::runtime
