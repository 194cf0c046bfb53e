#include "messages/cluster.hpp"

namespace sandy {

std::string to_string(node_role role) {
  switch (role) {
  case node_role::controller:
    return "controller";
  case node_role::worker:
    return "worker";
  case node_role::all:
    break;
  }
  return "all";
}

std::string to_string(node_state state) {
  switch (state) {
  case node_state::cordoned:
    return "cordoned";
  case node_state::draining:
    return "draining";
  case node_state::unreachable:
    return "unreachable";
  case node_state::ready:
    break;
  }
  return "ready";
}

} // namespace sandy
