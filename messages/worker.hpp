#pragma once

// Conversation: edge -> worker. The worker owns everything that lives on this machine.

#include "messages/agent.hpp"
#include "messages/connection.hpp"
#include "messages/container.hpp"
#include "messages/image.hpp"
#include "messages/pause.hpp"
#include "messages/pool.hpp"
#include "messages/room.hpp"
#include "messages/sandbox.hpp"

namespace sandy {

/// Asks whether the worker serves; answered by worker_health at once.
struct get_health {};

struct worker_health {
  bool accepting = false; ///< false while the server drains
  std::uint32_t sandboxes = 0;
  std::vector<pool_health> pools;
};

/// Asks what this machine has left; answered by worker_resources.
struct get_resources {};

struct worker_resources {
  bool can_create = false;
  std::string reject_reason; ///< empty while can_create
  std::uint32_t sandboxes = 0;
  std::uint32_t max_sandboxes = 0;
  std::vector<std::uint32_t> by_priority; ///< four counts: CRITICAL, HIGH, NORMAL, LOW
  double cpu_ratio = 0;                   ///< 0..1 of all cores, mean of the last seconds
  std::uint32_t cpu_count = 0;
  double load1 = 0, load5 = 0, load15 = 0;
  std::uint64_t memory_total_bytes = 0, memory_available_bytes = 0;
  std::uint64_t disk_total_bytes = 0, disk_free_bytes = 0; ///< of the data directory's file system
  std::vector<pool_health> pools;
  room_report room;
};

/// Janitor -> worker: which sandboxes may exist in the kernel; answered by vector<sandbox_id>, dying ones
/// included.
struct list_known {};

/// Reconciles the kernel with the worker: ends what nobody knows; answered by the number of leftovers found.
struct sweep {};

/// Sandbox -> worker: it ends for this reason; answered when no child of it is left.
struct sandbox_ending {
  sandbox_id id;
  end_reason reason = end_reason::none;
};

/// The server is about to stop: refuses new sandboxes and agent runs from here on, and ends the runs under
/// way, so that their readers hear it in time. Answered when all were told.
struct close_worker {};

/// Refuses new sandboxes and answers when the running creations are done.
struct drain_worker {
  bool end_sandboxes = false; ///< also end every sandbox, and answer when the last is gone
};

/// One point of the machine's history.
struct resource_sample {
  unix_millis timestamp = 0;
  double cpu_ratio = 0, memory_ratio = 0, disk_ratio = 0; ///< 0..1
};

/// Asks for the machine's history; answered by vector<resource_sample> in time order, one a minute.
struct get_timeseries {
  std::uint32_t hours = 12; ///< 1 to 48
};

template <class Inspector>
auto inspect(Inspector& f, get_health&) {
  return f(caf::meta::type_name("get_health"));
}
template <class Inspector>
auto inspect(Inspector& f, worker_health& x) {
  return f(caf::meta::type_name("worker_health"), x.accepting, x.sandboxes, x.pools);
}
template <class Inspector>
auto inspect(Inspector& f, get_resources&) {
  return f(caf::meta::type_name("get_resources"));
}
template <class Inspector>
auto inspect(Inspector& f, worker_resources& x) {
  return f(caf::meta::type_name("worker_resources"), x.can_create, x.reject_reason, x.sandboxes,
           x.max_sandboxes, x.by_priority, x.cpu_ratio, x.cpu_count, x.load1, x.load5, x.load15,
           x.memory_total_bytes, x.memory_available_bytes, x.disk_total_bytes, x.disk_free_bytes, x.pools,
           x.room);
}
template <class Inspector>
auto inspect(Inspector& f, list_known&) {
  return f(caf::meta::type_name("list_known"));
}
template <class Inspector>
auto inspect(Inspector& f, sweep&) {
  return f(caf::meta::type_name("sweep"));
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_ending& x) {
  return f(caf::meta::type_name("sandbox_ending"), x.id, x.reason);
}
template <class Inspector>
auto inspect(Inspector& f, close_worker&) {
  return f(caf::meta::type_name("close_worker"));
}
template <class Inspector>
auto inspect(Inspector& f, drain_worker& x) {
  return f(caf::meta::type_name("drain_worker"), x.end_sandboxes);
}
template <class Inspector>
auto inspect(Inspector& f, resource_sample& x) {
  return f(caf::meta::type_name("resource_sample"), x.timestamp, x.cpu_ratio, x.memory_ratio, x.disk_ratio);
}
template <class Inspector>
auto inspect(Inspector& f, get_timeseries& x) {
  return f(caf::meta::type_name("get_timeseries"), x.hours);
}

/// Everything that lives on one machine. Requests about one sandbox are passed on to its actor, which
/// answers.
using worker_actor = caf::typed_actor<
    caf::replies_to<create_sandbox>::with<sandbox_info>, caf::replies_to<get_sandbox>::with<sandbox_info>,
    caf::replies_to<list_sandboxes>::with<std::vector<sandbox_info>>,
    caf::replies_to<terminate_sandbox>::with<sandbox_ended>,
    caf::replies_to<refresh_sandbox>::with<sandbox_info>, caf::replies_to<open_sandbox>::with<sandbox_opened>,
    caf::replies_to<get_stats>::with<std::vector<sandbox_stats>>,
    caf::replies_to<get_logs>::with<std::vector<log_line>>, caf::replies_to<probe_port>::with<bool>,
    caf::replies_to<get_health>::with<worker_health>, caf::replies_to<get_resources>::with<worker_resources>,
    caf::replies_to<get_timeseries>::with<std::vector<resource_sample>>,
    caf::replies_to<list_known>::with<std::vector<sandbox_id>>, caf::replies_to<sandbox_ending>::with<void>,
    caf::replies_to<list_images>::with<std::vector<image_info>>,
    caf::replies_to<snapshot_sandbox>::with<image_info>, caf::replies_to<remove_image>::with<image_info>,
    caf::replies_to<fork_sandbox>::with<std::vector<sandbox_info>>,
    caf::replies_to<create_warm>::with<sandbox_id>, caf::reacts_to<retire_warm>, caf::reacts_to<pool_health>,
    caf::replies_to<close_worker>::with<void>, caf::replies_to<drain_worker>::with<void>,
    caf::replies_to<pause_sandbox>::with<sandbox_info>, caf::replies_to<resume_sandbox>::with<sandbox_info>,
    caf::replies_to<connect_sandboxes>::with<sandbox_connection>,
    caf::replies_to<disconnect_sandboxes>::with<void>,
    caf::replies_to<list_connections>::with<std::vector<sandbox_connection>>,
    caf::replies_to<run_agent>::with<agent_run_started>, caf::replies_to<cancel_agent>::with<bool>,
    caf::replies_to<get_agent_run>::with<agent_run_info>,
    caf::replies_to<list_agent_runs>::with<std::vector<agent_run_info>>,
    caf::replies_to<list_agents>::with<std::vector<agent_info>>,
    caf::replies_to<get_network>::with<network_report>, caf::replies_to<set_network>::with<network_report>,
    caf::replies_to<run_container>::with<container_info>,
    caf::replies_to<list_containers>::with<std::vector<container_info>>,
    caf::replies_to<get_container>::with<container_info>,
    caf::replies_to<stop_container>::with<container_info>,
    caf::replies_to<remove_container>::with<container_info>>;

/// Finds what a crash left behind: sweeps when asked and once a minute.
using janitor_actor = caf::typed_actor<caf::replies_to<sweep>::with<std::uint32_t>>;

} // namespace sandy
