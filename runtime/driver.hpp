#pragma once

#include "messages/container.hpp"
#include "messages/error.hpp"
#include "messages/sandbox.hpp"
#include "runtime/connection_capture.hpp"
#include "runtime/network_capture.hpp"
#include "runtime/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sandy::runtime {

/// How many ranges of 65536 host uids there are for sandboxes; slots are 0 to this, exclusive.
inline constexpr std::uint32_t uid_slots = 24'000;

/// What a driver needs to make one sandbox. All limits are set: the actor applied defaults and maxima.
struct sandbox_spec {
  sandbox_id id;
  std::string image; ///< name in the image store
  resource_limits limits;
  std::uint32_t uid_slot = 0; ///< which 65536 host uids the sandbox's uids map to; unique among the living
  layer_id layer;             ///< the uppermost layer; then `image` is only a name. Empty: the image alone
  std::string driver{};       ///< which of several is to make it; empty: the usual one
  bool docker_socket = false; ///< its engine's socket is to be inside
};

/// What a driver needs to make a container in a sandbox.
struct container_spec {
  container_id id;
  sandbox_id sandbox;         ///< runs; its network and its limits are the container's too
  std::string image;          ///< name in the image store
  resource_limits limits;     ///< of the sandbox; `disk_bytes` bounds the container's own disk
  std::uint32_t uid_slot = 0; ///< the sandbox's
};

/// What an image says of the program that it is for.
struct image_program {
  std::vector<std::string> entrypoint; ///< what a caller's command is given to
  std::vector<std::string> command;
  std::string user; ///< "user" or "user:group", names or numbers; empty: root
};

/// A sandbox as the kernel has it: enough to find it again after a crash of the server.
struct instance {
  std::int32_t init_pid = 0;          ///< host pid of the sandbox's process 1; 0: it is not running
  std::uint64_t init_start_ticks = 0; ///< field 22 of /proc/PID/stat: tells a reused pid
  unique_fd init;                     ///< pidfd; readable when process 1 has ended
  std::string guest_socket;           ///< host path where the guest listens
  environment variables;              ///< that its image wants its programs to find
  std::string image_version;          ///< what it stands on, for `has_program`; empty: not known
  std::string workdir;                ///< where its image wants them to start; empty: it does not say
};

struct installed_image {
  std::string name;
  unix_millis made_at = 0;
  std::uint64_t size_bytes = 0;      ///< on disk, about; 0: unknown
  bool imported = false;             ///< it came from an archive
  std::string digest;                ///< of what it was made from; empty: unknown
  std::vector<std::string> layers{}; ///< lowest first
};

/// A layer that was made.
struct layer_copy {
  layer_id below;               ///< the layer under it; empty: none
  std::uint64_t size_bytes = 0; ///< on disk, about
};

/// One way of isolating sandboxes. Every function may block (fork, mount, rmdir): call it on the blocking
/// pool only. Thread safe for different ids.
class driver {
public:
  virtual ~driver() = default;

  /// Short name for metrics and the API: "crun".
  virtual std::string name() const = 0;

  /// Makes the sandbox and waits until its guest answers. Leaves nothing behind when it fails.
  /// Fails with image_not_found, sandbox_failed (one sentence why), capacity_exhausted (the host refused).
  virtual result<instance> create(const sandbox_spec& spec) = 0;

  /// Whether what `create`, or `create_container`, takes of the image is at hand. Where getting it there
  /// takes long, the first who asks begins it and nobody waits for it here: ask again. Fails as those do.
  virtual result<bool> prepare_image(const sandbox_spec&) { return true; }
  virtual result<bool> prepare_image(const container_spec&) { return true; }

  /// Finds a sandbox made earlier, perhaps by a server that crashed. Fails with sandbox_not_found when it no
  /// longer runs or the guest does not answer; that of a paused one is not asked.
  virtual result<instance> attach(const sandbox_id& id) = 0;

  /// Whether a sandbox that was made or attached still answers. Fails with sandbox_failed when it does not
  /// within a second.
  virtual result<void> verify(const sandbox_id& id, const instance& where) = 0;

  /// Stops every process of a sandbox where it is; returns when none runs any more. Idempotent. Fails with
  /// sandbox_failed when one still does after seconds: then all run on; with sandbox_not_found.
  virtual result<void> pause(const sandbox_id& id) = 0;

  /// Lets the processes of a paused sandbox go on. Idempotent. Fails with sandbox_not_found.
  virtual result<void> resume(const sandbox_id& id) = 0;

  /// Makes a group in a sandbox for processes that are to end together. @param name like that of a sandbox,
  /// unique in it. @returns a descriptor for process_spec::group. Fails with sandbox_ended.
  virtual result<unique_fd> make_group(const sandbox_id& id, const std::string& name) = 0;

  /// Kills what is in such a group, whatever it did to hide, and removes the group: nothing joins it any
  /// more. Idempotent, also when the sandbox is gone. Fails with sandbox_failed when something still lives,
  /// as all may in a paused sandbox: it dies when it goes on, but has to be looked at again.
  virtual result<void> end_group(const sandbox_id& id, const std::string& name) = 0;

  /// Removes the groups in a sandbox that nothing is in. None of them may be waiting for its first process.
  virtual result<void> remove_empty_groups(const sandbox_id& id) = 0;

  /// Makes a container in a sandbox and waits until its guest answers: files and processes of its own, the
  /// network, the control group and the owners of the sandbox. It stands still with the sandbox, and ends
  /// with it at the latest. Not while the sandbox is paused, destroyed or copied. Leaves nothing behind when
  /// it fails. Fails with image_not_found, sandbox_ended, sandbox_failed, capacity_exhausted.
  virtual result<instance> create_container(const container_spec& spec) = 0;

  /// Finds a container made earlier, as `attach` finds a sandbox. Fails with container_not_found.
  virtual result<instance> attach_container(const sandbox_id& sandbox, const container_id& id) = 0;

  /// Kills everything in a container and removes all that is held for it. Idempotent, in every state; as
  /// `destroy`, which does it for all containers of a sandbox. Fails with sandbox_failed where it cannot die,
  /// because its sandbox is paused.
  virtual result<void> destroy_container(const sandbox_id& sandbox, const container_id& id) = 0;

  /// Every container of a sandbox that the machine knows of, also half made.
  virtual result<std::vector<container_id>> containers(const sandbox_id& sandbox) = 0;

  /// What an image says of its program. Fails with image_not_found.
  virtual result<image_program> program_of(const std::string& image) = 0;

  /// How long ago a process that was asked for in a sandbox was last seen to start, write or end, unheeded
  /// ones apart; nothing while a foreground one runs. Fails with sandbox_failed when the guest does not
  /// answer within a second.
  virtual result<std::chrono::milliseconds> quiet_time(const instance& where) = 0;

  /// Kills everything in the sandbox and removes all that the kernel and the disk hold for it. Idempotent, in
  /// every state, also half made or frozen. Returns when the kernel agrees that nothing is left; fails when
  /// it does not within seconds.
  virtual result<void> destroy(const sandbox_id& id) = 0;

  /// Every sandbox of this server the machine knows of: by cgroup, state directory or disk.
  virtual result<std::vector<sandbox_id>> list() = 0;

  /// When that image was made; later than before when it was made again. Fails with image_not_found.
  virtual result<unix_millis> image_changed_at(const std::string& image) = 0;

  /// Every image that sandboxes can be made from, by name.
  virtual result<std::vector<installed_image>> images() = 0;

  /// Forgets an image that was imported, and removes what no sandbox or layer stands on. Fails with
  /// image_not_found, and with forbidden for an image that was built.
  virtual result<void> remove_image(const std::string& name) = 0;

  /// Removes what imported images left that nobody stands on any more, and what a crash left of an import.
  virtual result<void> sweep_images() = 0;

  /// Whether a program of this name is where commands look for programs, in any image.
  virtual bool has_program(const std::string& name) = 0;

  /// The same in the image that a sandbox was made from, whatever was done in the sandbox since.
  virtual bool has_program(const std::string& name, const instance& where) = 0;

  /// Use as the cgroups count it; limits and rates are the caller's to fill in.
  struct usage {
    std::uint64_t cpu_usec = 0; ///< since the start
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;
    std::uint32_t pids = 0;
    std::uint64_t oom_kills = 0;
  };
  virtual result<usage> stats(const sandbox_id& id) = 0;

  /// Changes the limits of a living sandbox. disk_bytes and image cannot change.
  virtual result<void> set_limits(const sandbox_id& id, const resource_limits& limits) = 0;

  /// A TCP connection to 127.0.0.1:port inside the sandbox, made by a socket of its network namespace;
  /// non-blocking. Fails with upstream_error when nothing listens.
  virtual result<unique_fd> connect(const instance& where, std::uint16_t port) = 0;

  /// A TCP socket that listens on 127.0.0.1:port inside the sandbox, a socket of its network namespace;
  /// non-blocking. While it or a connection made through it is open, the kernel keeps that namespace: close
  /// them when the sandbox ends. Fails with conflict when the port is taken, with sandbox_ended when the
  /// sandbox does not run any more.
  virtual result<unique_fd> listen(const instance& where, std::uint16_t port) = 0;

  /// A TCP socket that is not connected yet and reaches what the sandbox's processes reach; non-blocking,
  /// with bounded buffers. The namespace is kept as by `listen`. @param family AF_INET or AF_INET6. Fails
  /// with sandbox_ended.
  virtual result<unique_fd> open_socket(const instance& where, int family) = 0;

  /// Captures the TCP connections that processes in the sandbox make to a range of addresses, as
  /// `capture_connections` does. The namespace is kept as by `listen`.
  virtual result<connection_capture> capture(const instance& where, const captured_range& range) = 0;

  /// Captures what processes in the sandbox send to the world, as the function of that name does. The
  /// namespace is kept as by `listen`.
  virtual result<network_capture> capture_network(const instance& where) = 0;

  /// Keeps what a sandbox has written as a layer, on top of those that it is made from; it stands still
  /// meanwhile. Leaves nothing behind when it fails. Fails with sandbox_failed when the sandbox ends,
  /// capacity_exhausted (the disk), conflict (too many layers already), internal.
  virtual result<layer_copy> copy_layer(const sandbox_id& id, const layer_id& to) = 0;

  /// Makes copies that are under way fail soon: the server stops.
  virtual result<void> end_copies() = 0;

  /// Idempotent. Only when no sandbox and no other layer is made from it.
  virtual result<void> remove_layer(const layer_id& id) = 0;

  /// All that are there, also what a crash left half made.
  virtual result<std::vector<layer_id>> layers() = 0;
};

} // namespace sandy::runtime
