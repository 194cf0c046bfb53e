#pragma once

#include "runtime/docker/docker_driver.hpp"
#include "tests/runtime/docker_engine.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sandy::test {

/// A Docker driver on the shared engine. On destruction every sandbox and every layer is removed, and it is
/// an error if anything of them is left.
class docker_machine {
public:
  docker_machine();
  docker_machine(const docker_machine&) = delete;
  docker_machine& operator=(const docker_machine&) = delete;
  ~docker_machine();

  /// Replaces the driver, as a restart of the server would; sandboxes live on.
  void restart() { restart(options_); }
  void restart(const runtime::docker_options& options);

  runtime::docker_driver& driver() { return *driver_; }
  const runtime::docker_options& options() const { return options_; }
  docker_engine& engine() { return engine_; }
  /// What is this driver's in the engine carries it.
  std::string label() const { return "sandy.server=" + driver_->server(); }

  /// A specification with modest limits, and an id of its own.
  runtime::sandbox_spec spec() const;
  /// Creates a sandbox and requires that it works.
  runtime::instance create(const runtime::sandbox_spec& wanted);

  /// What the machine and the engine hold for sandboxes, a line each.
  std::vector<std::string> traces() const;

private:
  void await_image(const runtime::sandbox_spec& wanted);

  docker_engine& engine_;
  runtime::docker_options options_;
  std::unique_ptr<runtime::docker_driver> driver_;
};

} // namespace sandy::test
