#pragma once

#include "messages/container.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sandy::runtime::docker {

/// The longest data directory whose sockets still have a name that the kernel takes.
inline constexpr std::size_t longest_data_dir = 65;

/// Directory of all boxes below the driver's data directory.
std::string boxes_directory(const std::string& data_dir);

/// Where one sandbox, or one container in a sandbox, keeps what it needs on the host.
struct box_files {
  box_files(const std::string& data_dir, const sandbox_id& id);
  box_files(const std::string& data_dir, const container_id& id)
      : box_files(data_dir, sandbox_id{id.value}) {}

  std::string box;        ///< the directory of everything below, mode 0700
  std::string asked;      ///< there when the engine was asked for a container
  std::string containers; ///< a directory of names: those of its containers
  std::string copying;    ///< there and held while what it wrote is copied
  std::string hatch;      ///< see container_request.hpp; gone when the guest runs
  std::string origin;     ///< what it was made from, see layer_store
  std::string socket;     ///< where its guest listens
  std::string state;      ///< see box_state; written last
  std::string workspace;  ///< /workspace of one that has the engine's socket
};

/// What is known of one that runs, so that the engine need not be asked.
struct box_state {
  std::string container; ///< the engine's id
  std::string cgroup;    ///< path within the trees; of a container: its sandbox's
  std::int32_t init_pid = 0;
  std::uint64_t init_start_ticks = 0;
};

/// Fails with internal, capacity_exhausted.
result<void> write_state(const box_files& files, const box_state& state);
/// Nothing when it was not made to the end.
std::optional<box_state> read_state(const box_files& files);

/// A pidfd of process 1; empty when it has ended. Sure to be that process, not another with its pid.
unique_fd open_init(const box_state& state);

} // namespace sandy::runtime::docker
