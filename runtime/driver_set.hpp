#pragma once

#include "runtime/crun/crun_driver.hpp"
#include "runtime/docker/docker_driver.hpp"

#include <memory>
#include <string>

namespace sandy::runtime {

/// crun and Docker's engine side by side: each sandbox belongs to the one that made it, which is known by
/// what that one keeps on disk. Images and layers are the same for both. What is asked by an instance alone
/// is the kernel's to answer, and the same for both, too.
class driver_set final : public driver {
public:
  /// @param usual name of the driver that makes what asks for none.
  driver_set(std::unique_ptr<crun_driver> crun, std::unique_ptr<docker_driver> docker, std::string usual);

  std::string name() const override { return usual_; }
  result<instance> create(const sandbox_spec& spec) override { return maker_of(spec).create(spec); }
  result<bool> prepare_image(const sandbox_spec& spec) override { return maker_of(spec).prepare_image(spec); }
  result<bool> prepare_image(const container_spec& spec) override {
    return of(spec.sandbox).prepare_image(spec);
  }
  result<instance> attach(const sandbox_id& id) override { return of(id).attach(id); }
  result<void> verify(const sandbox_id& id, const instance& where) override {
    return of(id).verify(id, where);
  }
  result<void> pause(const sandbox_id& id) override { return of(id).pause(id); }
  result<void> resume(const sandbox_id& id) override { return of(id).resume(id); }
  result<unique_fd> make_group(const sandbox_id& id, const std::string& name) override {
    return of(id).make_group(id, name);
  }
  result<void> end_group(const sandbox_id& id, const std::string& name) override {
    return of(id).end_group(id, name);
  }
  result<void> remove_empty_groups(const sandbox_id& id) override { return of(id).remove_empty_groups(id); }
  result<std::chrono::milliseconds> quiet_time(const instance& where) override {
    return crun_->quiet_time(where);
  }
  result<void> destroy(const sandbox_id& id) override { return of(id).destroy(id); }
  result<std::vector<sandbox_id>> list() override;
  result<unix_millis> image_changed_at(const std::string& image) override {
    return crun_->image_changed_at(image);
  }
  result<std::vector<installed_image>> images() override { return crun_->images(); }
  result<void> remove_image(const std::string& name) override { return crun_->remove_image(name); }
  result<void> sweep_images() override { return docker_->sweep_images(); } // the engine's, too
  bool has_program(const std::string& name) override { return crun_->has_program(name); }
  bool has_program(const std::string& name, const instance& where) override {
    return crun_->has_program(name, where);
  }
  result<usage> stats(const sandbox_id& id) override { return of(id).stats(id); }
  result<void> set_limits(const sandbox_id& id, const resource_limits& limits) override {
    return of(id).set_limits(id, limits);
  }
  result<unique_fd> connect(const instance& where, std::uint16_t port) override {
    return crun_->connect(where, port);
  }
  result<unique_fd> listen(const instance& where, std::uint16_t port) override {
    return crun_->listen(where, port);
  }
  result<unique_fd> open_socket(const instance& where, int family) override {
    return crun_->open_socket(where, family);
  }
  result<connection_capture> capture(const instance& where, const captured_range& range) override {
    return crun_->capture(where, range);
  }
  result<network_capture> capture_network(const instance& where) override {
    return crun_->capture_network(where);
  }
  result<layer_copy> copy_layer(const sandbox_id& id, const layer_id& to) override {
    return of(id).copy_layer(id, to);
  }
  result<void> end_copies() override;
  result<void> remove_layer(const layer_id& id) override { return crun_->remove_layer(id); }
  result<std::vector<layer_id>> layers() override { return crun_->layers(); }
  result<instance> create_container(const container_spec& spec) override {
    return of(spec.sandbox).create_container(spec);
  }
  result<instance> attach_container(const sandbox_id& sandbox, const container_id& id) override {
    return of(sandbox).attach_container(sandbox, id);
  }
  result<void> destroy_container(const sandbox_id& sandbox, const container_id& id) override {
    return of(sandbox).destroy_container(sandbox, id);
  }
  result<std::vector<container_id>> containers(const sandbox_id& sandbox) override {
    return of(sandbox).containers(sandbox);
  }
  result<image_program> program_of(const std::string& image) override { return crun_->program_of(image); }

private:
  /// Who made it; crun for one that nobody made.
  driver& of(const sandbox_id& id);
  /// Who is to make it.
  driver& maker_of(const sandbox_spec& spec);

  std::unique_ptr<crun_driver> crun_;
  std::unique_ptr<docker_driver> docker_;
  std::string usual_;
};

} // namespace sandy::runtime
