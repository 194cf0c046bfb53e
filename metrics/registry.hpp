#pragma once

#include "messages/agent.hpp"
#include "messages/events.hpp"
#include "messages/limiter.hpp"
#include "messages/room.hpp"
#include "metrics/container_metrics.hpp"
#include "metrics/gateway_metrics.hpp"
#include "metrics/http_metrics.hpp"
#include "metrics/ingress_metrics.hpp"
#include "metrics/network_metrics.hpp"
#include "metrics/platform_metrics.hpp"
#include "metrics/process_metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::metrics {

/// Parts of a creation, timed each for itself. `total` is what the caller waited.
enum class create_phase : std::uint8_t { queue, driver, store, total };

/// How a command that was asked for ended. `failed`: it could not be started. `lost`: its sandbox ended
/// first. `disconnected`: its reader went away and took it along.
enum class exec_outcome : std::uint8_t { exited, signaled, timeout, failed, lost, disconnected };

/// `in`: from the server to guests. `out`: from guests to the server.
enum class direction : std::uint8_t { in, out };

/// Why a sandbox was preempted: a more important one needed its place, or the machine ran short of memory.
enum class preemption : std::uint8_t { creation, memory };

/// What the janitor found. `sandbox`: a sandbox in the kernel or on the disk that no record knows. `record`:
/// a record whose sandbox is gone.
enum class leak_kind : std::uint8_t { sandbox, record };

/// What became of an event that a webhook was to post. `retried`: one try failed, another follows. `failed`:
/// the last try failed. `forbidden`: the receiver's address may not be connected to. `gone`: the receiver
/// wants no more. `dropped`: it fell out of the history before its turn came.
enum class webhook_outcome : std::uint8_t { delivered, retried, failed, forbidden, gone, dropped };

/// Every metric family of this server. Instruments are found at construction and kept; counting an event
/// never searches by label. Thread safe; nothing blocks but `expose`.
class registry {
public:
  /// @param version of this server, for sandy_build_info.
  /// @param flavors the configured flavors, a closed set; sandboxes of any other count as flavor "other".
  registry(std::string_view version, const std::vector<std::string>& flavors);
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;

  /// All values in Prometheus' text format 0.0.4. Reads a few small files below /proc.
  std::string expose() const;

  /// The HTTP edge counts here.
  http_metrics& http() noexcept { return http_; }
  /// What sandboxes exchange with the world is counted here.
  network_metrics& network() noexcept { return network_; }
  /// What sandboxes ask of the platform's services is counted here.
  platform_metrics& platform() noexcept { return platform_; }
  /// The pools of containers count here.
  container_metrics& containers() noexcept { return containers_; }
  /// What leads into sandboxes counts here.
  ingress_metrics& ingress() noexcept { return ingress_; }
  /// What models are asked is counted here.
  gateway_metrics& gateway() noexcept { return gateway_; }

  /// A sandbox is now in this state; call `sandbox_left` for the state it was in. `gone` is not counted.
  void sandbox_entered(std::string_view flavor, sandbox_state state);
  void sandbox_left(std::string_view flavor, sandbox_state state);

  /// A sandbox became ready for the first time.
  void sandbox_created(std::string_view flavor);
  /// A sandbox is gone.
  void sandbox_ended(end_reason reason);

  /// A creation asked a warm pool. @param hit whether it got a member.
  void pool_asked(std::string_view flavor, bool hit);
  void pool_shown(std::string_view flavor, std::size_t available, std::size_t target);
  void pool_refilled(std::string_view flavor, double seconds);
  void create_timed(create_phase phase, double seconds);
  void create_refused(refusal reason);
  void preempted(preemption cause);
  /// What is promised to sandboxes, and how many creations wait.
  void room_shown(std::uint64_t memory_bytes, double cores, std::uint64_t pids, std::uint64_t disk_bytes,
                  std::size_t waiting);
  /// A request was refused because its tenant's budget of that kind is spent.
  void limit_refused(budget_kind spent);

  /// @param seconds from start to exit; used only for commands whose exit was seen (exited, signaled,
  /// timeout).
  void exec_finished(exec_outcome outcome, double seconds);
  void agent_started();
  /// @param outcome anything but none and running.
  void agent_finished(run_status outcome, double seconds);
  void guest_bytes(direction where, std::uint64_t count);
  void leaks_found(leak_kind kind, std::uint64_t count = 1);

  void event_recorded(life_event_type type);
  void webhook_finished(webhook_outcome outcome, std::uint64_t count = 1);

private:
  static constexpr std::size_t live_states = 3; ///< creating, ready, draining

  struct flavor_metrics {
    std::array<prometheus::Gauge*, live_states> living{};
    prometheus::Counter* created = nullptr;
    prometheus::Gauge* warm = nullptr;
    prometheus::Gauge* warm_target = nullptr;
    std::array<prometheus::Counter*, 2> claims{}; ///< misses, hits
    prometheus::Histogram* refill = nullptr;
  };

  const flavor_metrics& of(std::string_view flavor) const;

  prometheus::Registry families_;
  network_metrics network_{families_};
  container_metrics containers_{families_};
  platform_metrics platform_{families_};
  http_metrics http_;
  ingress_metrics ingress_{families_};
  gateway_metrics gateway_{families_};
  process_metrics process_;
  std::map<std::string, flavor_metrics, std::less<>> flavors_; ///< "other" among them
  std::array<prometheus::Counter*, static_cast<std::size_t>(end_reason::idle) + 1> ended_{};
  std::array<prometheus::Histogram*, 4> create_phases_{};
  std::array<prometheus::Counter*, refusals> refused_{};
  std::array<prometheus::Counter*, 2> preempted_{};
  std::array<prometheus::Gauge*, 5> room_{};         ///< memory, cores, pids, disk, waiting
  std::array<prometheus::Counter*, 3> over_limit_{}; ///< budget_kind without none
  std::array<prometheus::Counter*, 6> execs_{};
  prometheus::Histogram* exec_seconds_ = nullptr;
  prometheus::Gauge* agents_running_ = nullptr;
  std::array<prometheus::Counter*, 7> agent_runs_{}; ///< by run_status; the first two stay empty
  prometheus::Histogram* agent_seconds_ = nullptr;
  std::array<prometheus::Counter*, 2> guest_bytes_{};
  std::array<prometheus::Counter*, 2> leaks_{};
  std::array<prometheus::Counter*, life_event_types> events_{};
  std::array<prometheus::Counter*, 6> webhooks_{};
};

} // namespace sandy::metrics
