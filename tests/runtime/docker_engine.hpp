#pragma once

#include "runtime/docker/engine.hpp"
#include "runtime/unique_fd.hpp"

#include <string>
#include <vector>

namespace sandy::test {

/// A Docker engine that shares nothing with one that may already run on the machine: data, sockets, control
/// groups and configuration of its own, no bridge, no firewall rules. Fails the test without root or without
/// dockerd. On destruction it is ended, and whatever it left is gone.
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

  const std::string& socket() const { return socket_; }
  const std::string& cgroup_parent() const { return cgroup_parent_; }
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
  std::string socket_;
  std::string cgroup_parent_;
  std::vector<std::string> foreign_; ///< of what an engine makes elsewhere, what was there before
  pid_t pid_ = 0;
  runtime::unique_fd process_;
};

} // namespace sandy::test
