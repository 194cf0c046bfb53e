#pragma once

#include "messages/room.hpp"
#include "messages/sandbox.hpp"
#include "runtime/host.hpp"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace sandy {

/// How much of the machine may be promised, and how much of it must stay free.
///
/// Limits are what a sandbox may use at most, and most use little of theirs for most of the time: promising
/// each thing many times over is what makes a machine hold hundreds of them. The reserves, measured on the
/// machine itself, keep that honest. The defaults leave `max_sandboxes` to decide on a common server, and
/// stop a small one early.
struct room_rules {
  // Thousandths of what the machine has; 0: any number may be promised.
  std::uint32_t memory_overcommit = 32'000; ///< 24 GiB hold 768 sandboxes of 1 GiB
  std::uint32_t cpu_overcommit = 256'000;   ///< a core is shared by as many as `max_sandboxes` allows
  std::uint32_t pids_overcommit = 16'000;   ///< the kernel's usual 32768 hold 1024 sandboxes of 512
  std::uint32_t disk_overcommit = 64'000;   ///< disks are sparse: 8 GiB promised are megabytes written
  // What must be left on the machine for a sandbox to be created; 0: nobody looks.
  std::uint64_t memory_reserve = 512ull << 20; ///< below, preemptable sandboxes end, too
  std::uint32_t cpu_reserve = 0;               ///< millis. A busy machine is slow, not broken
  std::uint32_t pids_reserve = 1024;           ///< the server and its machine need some
  std::uint64_t disk_reserve = 1ull << 30;     ///< a full disk breaks the store
};

/// So much of everything that sandboxes share.
struct amounts {
  std::uint64_t sandboxes = 0, memory_bytes = 0, cpu_millis = 0, pids = 0, disk_bytes = 0;
  amounts& operator+=(const amounts& more);
  amounts& operator-=(const amounts& less);
  friend amounts operator+(amounts a, const amounts& b) { return a += b; }
  friend bool operator==(const amounts&, const amounts&) = default;
};

/// What one sandbox with these limits is promised.
amounts amounts_of(const resource_limits& limits);

/// The bounds of one machine. A value of the worker's, no actor.
class room {
public:
  room(room_rules rules, std::uint32_t max_sandboxes);

  /// What the machine has and uses now. Before the first look nothing but the number of sandboxes is bounded.
  void see(const runtime::host_load& load) { load_ = load; }

  /// What is broken when so much is promised in all; nothing: it may be.
  std::optional<refusal> over(const amounts& promised) const;
  /// What the machine itself has too little of now, whatever is promised.
  std::optional<refusal> short_of() const;
  bool short_of_memory() const;

  std::vector<resource_share> shares(const amounts& promised) const;

private:
  amounts most() const; ///< fields that are not bounded are 0
  bool short_of_cpu() const;

  room_rules rules_;
  std::uint32_t max_sandboxes_;
  runtime::host_load load_;
};

/// A sandbox that may be ended to make room.
struct candidate {
  sandbox_id id;
  std::uint8_t priority = 2;
  std::chrono::steady_clock::time_point idle_since{}; ///< with all that ends with it; `max` while in use
  std::vector<std::pair<sandbox_id, amounts>> frees;  ///< itself, and all that ends with it
};

/// Whether `a` is ended rather than `b`: the less important one, then the one that has been idle for longer,
/// then the one that takes less along.
bool goes_before(const candidate& a, const candidate& b);

/// Whom to end so that no more is promised than `bounds` allow: as few as that needs, the least important
/// first. Empty: nobody has to end, or all of them would not be enough.
/// @param promised with what is wanted, and without what ends already.
std::vector<sandbox_id> choose_victims(std::vector<candidate> from, amounts promised, const room& bounds);

} // namespace sandy
