#pragma once

#include "messages/container.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "runtime/process.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sandy::runtime {

/// Where one sandbox, or one container in a sandbox, keeps what it needs on the host, all of it below the
/// data directory.
struct sandbox_files {
  sandbox_files(const std::string& data_dir, const sandbox_id& id);
  sandbox_files(const std::string& data_dir, const container_id& id)
      : sandbox_files(data_dir, sandbox_id{id.value}) {}

  sandbox_id id;
  std::string box;        ///< the directory of everything below, mode 0700; also the bundle crun reads
  std::string config;     ///< crun's configuration
  std::string containers; ///< a directory of names: those of its containers
  std::string copying;    ///< there and held while what it wrote is copied: it stands still
  std::string disk;       ///< the image of its file system
  std::string origin;     ///< what it was made from, see layer_store
  std::string loop;       ///< the number of the loop device the disk is attached to
  std::string lock;       ///< held while the sandbox is being made
  std::string socket;     ///< where its guest listens
  std::string state;      ///< crun's own directory
};

/// Directories of all sandboxes below the data directory.
std::string boxes_directory(const std::string& data_dir);
std::string states_directory(const std::string& data_dir);

/// The longest data directory whose sockets still have a name that the kernel takes (unix(7): 108 bytes).
inline constexpr std::size_t longest_data_dir = 65;

/// What crun wrote down about a sandbox that it started.
struct crun_status {
  std::int32_t init_pid = 0;
  std::uint64_t init_start_ticks = 0;
};

/// Nothing when crun did not get that far.
std::optional<crun_status> read_status(const sandbox_files& files);

/// A pidfd of the sandbox's process 1; empty when it has ended. Sure to be that process, not another with its
/// pid.
unique_fd open_init(const crun_status& status);

/// A file that is created, and locked until the result is closed. Fails with conflict when somebody holds it,
/// sandbox_not_found when there is no directory for it.
result<unique_fd> lock_file(const std::string& path);

/// The sandbox's creation lock, held until the result is closed. The launcher and crun inherit it, so it
/// tells whether anything is still at work on the sandbox when the server that started it was killed. Fails
/// with conflict when held.
result<unique_fd> lock_creation(const sandbox_files& files);

/// Ends whatever holds this lock: helpers, also those that a killed server left at work. Fails with conflict
/// when they do not die by the deadline.
result<void> stop_holders(const std::string& lock, steady_time deadline);

} // namespace sandy::runtime
