#pragma once

#include "runtime/docker/docker_driver.hpp"
#include "tests/runtime/docker_engine.hpp"
#include "tests/runtime/driver_machine.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sandy::test {

/// A Docker driver on the shared engine. On destruction every sandbox and every layer is removed, and it is
/// an error if anything of them is left.
class docker_machine : public driver_machine {
public:
  docker_machine();
  docker_machine(const docker_machine&) = delete;
  docker_machine& operator=(const docker_machine&) = delete;
  ~docker_machine() override;

  void restart() override { restart(options_); }
  void restart(const runtime::docker_options& options);

  runtime::docker_driver& driver() override { return *driver_; }
  const runtime::docker_options& options() const { return options_; }
  docker_engine& engine() { return engine_; }
  /// What is this driver's in the engine carries it.
  std::string label() const { return "sandy.server=" + driver_->server(); }

  runtime::sandbox_spec spec() override;
  bool bounds_disks() const override { return false; }

  /// Also what the engine holds for sandboxes.
  std::vector<std::string> traces() const override;

private:
  docker_engine& engine_;
  runtime::docker_options options_;
  std::unique_ptr<runtime::docker_driver> driver_;
};

} // namespace sandy::test
