#include "tests/runtime/docker_machine.hpp"

#include "runtime/files.hpp"
#include "tests/runtime/machine.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <thread>

namespace sandy::test {

using namespace sandy::runtime;

docker_machine::docker_machine()
    : engine_(docker_engine::shared()) {
  auto crun = test_options(engine_.driver_data());
  options_.data_dir = crun.data_dir;
  options_.image_dir = crun.image_dir;
  options_.engine_socket = engine_.socket();
  options_.guest = crun.guest;
  options_.exporter = SANDY_EXPORT_TREE_PATH;
  options_.size_age = std::chrono::milliseconds{0};
  restart();
}

docker_machine::~docker_machine() {
  auto ids = driver_->list();
  for (const auto& id : *ids)
    if (auto done = driver_->destroy(id); !done)
      std::cerr << "cannot destroy " << id.value << ": " << text_of(done.error()) << '\n';
  auto layers = driver_->layers();
  for (const auto& id : *layers)
    static_cast<void>(driver_->remove_layer(id)); // what stays is found below
  auto left = traces();
  for (const auto& line : left)
    std::cerr << "left behind: " << line << '\n';
  if (!left.empty())
    std::abort(); // a destructor cannot fail a test in any milder way
}

void docker_machine::restart(const docker_options& options) {
  auto made = docker_driver::make(options);
  if (!made)
    FAIL(text_of(made.error()));
  driver_ = std::move(*made);
  await_image(spec()); // tests make sandboxes at once
}

sandbox_spec docker_machine::spec() {
  return {make_sandbox_id(), "basic", {256u << 20, 1000, 64, 64u << 20}, 0, {}};
}

std::vector<std::string> docker_machine::traces() const {
  auto all = engine_.without_own_groups(traces_of(options_.data_dir + "/docker", engine_.cgroup_parent()));
  for (const auto& name : names_in(layers_directory(options_.data_dir)))
    all.push_back("layer: " + name);
  for (const auto& name : engine_.containers(label()))
    all.push_back("container: " + name);
  return all;
}

} // namespace sandy::test
