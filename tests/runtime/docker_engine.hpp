#pragma once

#include "runtime/docker/engine.hpp"
#include "runtime/unique_fd.hpp"

#include <string>
#include <vector>

namespace sandy::test {

/// How the engine is started that this program tests with, and what it makes outside the directory that it is
/// given.
struct engine_program {
  std::vector<std::string> arguments; ///< of execv
  std::string socket;
  std::string cgroup_parent;             ///< of all its containers
  std::vector<std::string> other_groups; ///< names in there that are the engine's own, not a container's
  std::vector<std::string> traces;       ///< elsewhere, deepest first
  std::vector<std::string> mounts;       ///< that its end leaves
};
/// @param directory an empty one. Dockerd, or Podman's service.
engine_program engine_in(const std::string& directory);

/// A Docker engine that shares nothing with one that may already run on the machine: data, sockets, control
/// groups and configuration of its own, no bridge, no firewall rules. Fails the test without root or without
/// its program. On destruction it is ended, and whatever it left is gone.
class docker_engine {
public:
  docker_engine();
  docker_engine(const docker_engine&) = delete;
  docker_engine& operator=(const docker_engine&) = delete;
  ~docker_engine();

  /// The one that all tests of this program share: starting one, and filling it with images, takes seconds.
  /// Ended with the run.
  static docker_engine& shared();
  static void end_shared();

  const std::string& socket() const { return program_.socket; }
  const std::string& cgroup_parent() const { return program_.cgroup_parent; }
  /// Of what is seen on the machine, what is there for containers.
  std::vector<std::string> without_own_groups(std::vector<std::string> traces) const;
  /// A directory for the data of a driver, whose images stay in the engine.
  const std::string& driver_data() const { return driver_data_; }

  /// Asks the engine, and requires a good answer.
  nlohmann::json get(const std::string& target) const;
  /// Names of its containers, living or not, that carry this label.
  std::vector<std::string> containers(const std::string& label) const;
  /// Names of its images that carry this label.
  std::vector<std::string> images(const std::string& label) const;

  /// Ends it as a crash would; its containers live on only as far as it keeps them.
  void start();
  void stop();

private:
  void await_start();

  std::string directory_;
  std::string driver_data_;
  engine_program program_;
  std::vector<std::string> foreign_; ///< of what an engine makes elsewhere, what was there before
  pid_t pid_ = 0;
  runtime::unique_fd process_;
};

} // namespace sandy::test
