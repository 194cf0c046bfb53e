#pragma once

// What a machine has room for, as the worker tells it.

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sandy {

/// Why a creation was refused, or waits. `memory` to `disk`: more would be promised than the configuration
/// allows. `memory_left` to `disk_left`: the machine itself runs short, whatever was promised.
enum class refusal : std::uint8_t {
  max_sandboxes,
  queue_full, ///< too many wait already
  draining,
  no_turn, ///< there was room, but too many were being made
  memory,
  cpu,
  pids,
  disk,
  memory_left,
  cpu_left,
  pids_left,
  disk_left
};
inline constexpr std::size_t refusals = 12;
std::string to_string(refusal reason); ///< "queue_full"
/// The sentence for callers: "This machine is short of memory".
std::string sentence(refusal reason);

/// What the machine has of one thing. Bytes, thousandths of a core, processes or sandboxes.
struct resource_share {
  std::string name;             ///< "sandboxes", "memory", "cpu", "pids", "disk"
  std::uint64_t total = 0;      ///< what the machine has
  std::uint64_t promised = 0;   ///< the sum of the sandboxes' limits, creations on their way included
  std::uint64_t promisable = 0; ///< so much may be promised; 0: any
  std::uint64_t left = 0;       ///< what nobody uses now
  std::uint64_t reserve = 0;    ///< nothing is created while less than this is left
};

struct room_report {
  std::vector<resource_share> shares;
  std::uint32_t waiting = 0;         ///< creations that wait for room or for their turn
  std::uint64_t longest_wait_ms = 0; ///< of those
  std::uint32_t making = 0;          ///< sandboxes being made now, warm ones included
};

template <class Inspector>
auto inspect(Inspector& f, resource_share& x) {
  return f(caf::meta::type_name("resource_share"), x.name, x.total, x.promised, x.promisable, x.left,
           x.reserve);
}
template <class Inspector>
auto inspect(Inspector& f, room_report& x) {
  return f(caf::meta::type_name("room_report"), x.shares, x.waiting, x.longest_wait_ms, x.making);
}

} // namespace sandy
