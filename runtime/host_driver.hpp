#pragma once

#include "runtime/cgroup.hpp"
#include "runtime/crun/layer_store.hpp"
#include "runtime/driver.hpp"
#include "runtime/image_store.hpp"
#include "runtime/oci/published_images.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sandy::runtime {

/// What drivers have in common whose sandboxes are processes of this machine, however they were started:
/// control groups hold them, their network is reached through process 1, images are trees of the image store.
class host_driver : public driver {
public:
  result<void> verify(const sandbox_id& id, const instance& where) override;
  result<void> pause(const sandbox_id& id) override;
  result<void> resume(const sandbox_id& id) override;
  result<unique_fd> make_group(const sandbox_id& id, const std::string& name) override;
  result<void> end_group(const sandbox_id& id, const std::string& name) override;
  result<void> remove_empty_groups(const sandbox_id& id) override;
  result<std::chrono::milliseconds> quiet_time(const instance& where) override;
  result<void> set_limits(const sandbox_id& id, const resource_limits& limits) override;
  result<unix_millis> image_changed_at(const std::string& image) override;
  result<std::vector<installed_image>> images() override;
  result<void> remove_image(const std::string& name) override { return imported_.remove(name); }
  result<void> sweep_images() override { return imported_.sweep(); }
  bool has_program(const std::string& name) override { return images_.has_program(name); }
  bool has_program(const std::string& name, const instance& where) override;
  result<unique_fd> connect(const instance& where, std::uint16_t port) override;
  result<unique_fd> listen(const instance& where, std::uint16_t port) override;
  result<unique_fd> open_socket(const instance& where, int family) override;
  result<connection_capture> capture(const instance& where, const captured_range& range) override;
  result<network_capture> capture_network(const instance& where) override;
  result<layer_copy> copy_layer(const sandbox_id& id, const layer_id& to) override;
  result<void> end_copies() override;
  result<void> remove_layer(const layer_id& id) override { return layers_.remove(id); }
  result<std::vector<layer_id>> layers() override { return layers_.list(); }
  result<image_program> program_of(const std::string& image) override { return images_.program_of(image); }

protected:
  /// @param data_dir where layers are kept, see `layers_directory`
  host_driver(cgroup_layout layout, const std::string& image_dir, const std::string& data_dir);

  /// The control group of a sandbox; of one that is not known, one that does not exist.
  virtual cgroup group(const sandbox_id& id) const = 0;
  /// What an instance says of the image that it was made from.
  void describe(instance& made, const origin& from) const;
  /// Containers by the names of files in a directory, in order; none when there is no directory.
  static result<std::vector<container_id>> containers_noted_in(const std::string& directory);
  /// Counts what control groups count, so all but the disk. Fails with sandbox_not_found.
  result<usage> count(const sandbox_id& id) const;

  /// What a layer is made from.
  struct layer_source {
    origin from;
    std::uint64_t size_bytes = 0;    ///< about
    std::vector<std::string> copier; ///< program and arguments; where to copy to is added
    std::chrono::milliseconds timeout{0};
  };
  /// Fails with sandbox_failed when it does not run, feature_unavailable when what it wrote cannot be read.
  virtual result<layer_source> source_of(const sandbox_id& id) = 0;
  /// A file of the sandbox that is there and held while it is copied: it stands still.
  virtual std::string copying_mark(const sandbox_id& id) const = 0;
  /// Ends the copying that a killed server left at work. Its sandbox still stands still: the owner's record
  /// says whether it should. Copying of our own goes on.
  void end_copying(const sandbox_id& id);
  /// Callers may read it.
  virtual std::string without_host_paths(std::string text) const = 0;

  cgroup_layout layout_;
  image_store images_;
  layer_store layers_;
  oci::published_images imported_;

private:
  class copying_note;
  static result<void> run_copier(std::vector<std::string> copier, std::chrono::milliseconds timeout,
                                 const std::string& target, int lock);

  std::mutex copying_mutex_;
  std::map<std::string, std::string> copying_; ///< sandboxes that this server copies now, and their marks
};

} // namespace sandy::runtime
