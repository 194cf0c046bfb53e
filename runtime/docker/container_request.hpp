#pragma once

#include "messages/sandbox.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

namespace sandy::runtime::docker {

/// Where a sandbox has the directory through which its guest gets its program and its socket, until it has
/// both.
inline constexpr const char* hatch_inside = "/.sandy";
/// Names in it.
inline constexpr const char* guest_in_hatch = "guest";
inline constexpr const char* socket_in_hatch = "s";

struct container_options {
  std::string image; ///< as the engine knows it
  std::string hatch; ///< host path of the directory of that name
  resource_limits limits;
  bool swap_accounting = false;
  int oom_score = 0;
  std::string cgroup_parent; ///< empty: the engine's own choice
  std::vector<std::string> guest_arguments;
  std::string seccomp; ///< see `seccomp_profile`
  std::vector<std::pair<std::string, std::string>> labels;
  std::string engine_socket; ///< host path of what is to be /var/run/docker.sock; empty: none
  std::string workspace;     ///< host path of what is to be /workspace; empty: a part of its own disk
  std::string within;        ///< the engine's id of the sandbox whose network it is to share; empty: none
};

/// What the engine is asked to make (POST /containers/create of the Engine API): what crun_driver makes, as
/// far as an engine can.
nlohmann::json container_request(const container_options& options);

} // namespace sandy::runtime::docker
