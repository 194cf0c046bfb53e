#pragma once

// Conversation: edge -> worker -> sandbox. What a sandbox is, and everything that can be asked of one through
// an actor. Bytes (process output, files) do not travel here: see messages/sandbox_io.hpp.

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/network.hpp"
#include "messages/secrets.hpp"

#include <caf/meta/type_name.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sandy {

/// Milliseconds since the Unix epoch: what is stored and shown. Timers run on the actor clock, not on this.
using unix_millis = std::int64_t;
unix_millis unix_now();

/// `creating -> ready -> draining -> gone`; never backwards. Its one transition function is
/// `sandbox_life::enter`.
enum class sandbox_state : std::uint8_t { creating, ready, draining, gone };
std::string to_string(sandbox_state state);

/// Why a sandbox ended. The text reaches callers whose streams it cuts.
enum class end_reason : std::uint8_t {
  none,
  terminated,
  expired,
  failed,
  preempted,
  caller_gone,
  shutdown,
  parent_ended,
  idle
};
std::string to_string(end_reason reason); ///< "terminated"
/// The sentence for callers: "sandbox terminated", "sandbox expired", ...
std::string sentence(end_reason reason);

/// Who has its processes stand still. A caller's pause ends by `resume_sandbox` only; what was paused because
/// nobody used it goes on with its next use.
enum class pause_cause : std::uint8_t { none, caller, idle };
std::string to_string(pause_cause cause);

/// For `create_sandbox`: the idle timeout that the configuration gives.
inline constexpr std::uint32_t usual_idle_timeout = 0xffff'ffff;

using environment = std::vector<std::pair<std::string, std::string>>;

/// What a sandbox may use at most. 0 asks for the configured default; more than the configured maximum is
/// clamped.
struct resource_limits {
  std::uint64_t memory_bytes = 0; ///< hard limit, swap included
  std::uint32_t cpu_millis = 0;   ///< thousandths of a core
  std::uint32_t pids = 0;         ///< processes and threads
  std::uint64_t disk_bytes = 0;   ///< what the sandbox may write beyond its image
  friend bool operator==(const resource_limits&, const resource_limits&) = default;
};

/// Asks for a new sandbox; answered by sandbox_info when an `exec` would work.
/// Fails with invalid_argument, image_not_found, sandbox_not_found (the parent), rate_limited (the parent's
/// children), capacity_exhausted, sandbox_failed, shutting_down.
struct create_sandbox {
  principal caller;
  sandbox_id parent;            ///< the new one dies with it; empty: the caller's sandbox, if a sandbox asks
  std::string flavor = "basic"; ///< names a configured flavor
  std::string image;            ///< name in the image store; empty: the flavor's
  resource_limits limits;
  std::uint32_t ttl_seconds = 0; ///< 0: the configured default
  std::uint8_t priority = 2;     ///< 0 CRITICAL, 1 HIGH, 2 NORMAL, 3 LOW
  bool preemptable = false;
  std::vector<std::uint16_t> expose_ports;
  environment env;
  /// Absolute; empty: the image's, or /workspace.
  std::string workdir;
  std::string upstream;                                    ///< a wish, echoed
  std::uint32_t idle_timeout_seconds = usual_idle_timeout; ///< 0: none
  bool pause_on_idle = false;               ///< when the idle timeout passes: pause it instead of ending it
  std::vector<sandbox_id> connect_to;       ///< what it reaches from its first moment on
  network_policy network;                   ///< what it reaches of the world
  std::vector<std::uint16_t> private_ports; ///< reached from outside with a signed URL only
  std::vector<secret> secrets;              ///< what it may use without knowing it
  bool docker_socket = false;               ///< it wants the engine's own socket inside
};

/// What callers may know of a sandbox.
struct sandbox_info {
  sandbox_id id;
  tenant_id tenant;
  sandbox_id parent; ///< empty: none
  sandbox_state state = sandbox_state::creating;
  std::string flavor;
  std::string image;
  resource_limits limits;
  std::uint8_t priority = 2;
  bool preemptable = false;
  std::vector<std::uint16_t> expose_ports;
  std::string upstream;
  std::string workdir;
  unix_millis created_at = 0;
  unix_millis expires_at = 0;
  std::uint32_t ttl_seconds = 0;          ///< the lifetime asked for; `refresh` grants it again
  unix_millis latest_end = 0;             ///< no `refresh` gets beyond; 0: no such bound
  std::uint32_t idle_timeout_seconds = 0; ///< unused for so long it ends, or is paused; 0: it may be idle
  bool pause_on_idle = false;
  pause_cause paused = pause_cause::none;
  network_policy network;
  std::vector<std::uint16_t> private_ports;
  std::vector<secret_use> secrets;
  std::vector<std::string> agents; ///< ids of those that its image has
  std::string runtime;             ///< the driver that isolates it: "crun", "docker"
  bool docker_socket = false;      ///< the engine's own socket is inside
};

/// Asks for one sandbox; answered by sandbox_info. Fails with sandbox_not_found.
struct get_sandbox {
  principal caller;
  sandbox_id id;
};

/// Asks for the living sandboxes that the caller reaches; answered by vector<sandbox_info>, oldest first.
/// Fails with sandbox_not_found when `parent` is unknown.
struct list_sandboxes {
  principal caller;
  sandbox_id parent; ///< set: its children only
};

/// Ends a sandbox; answered by sandbox_ended when the kernel has let go of it. Idempotent while a tombstone
/// exists.
struct terminate_sandbox {
  principal caller;
  sandbox_id id;
};

struct sandbox_ended {
  sandbox_id id;
  end_reason reason = end_reason::none;
};

/// Moves the deadline to now + ttl_seconds (0: the original lifetime), at most to `latest_end`; answered by
/// sandbox_info, which tells the deadline there is now. Counts as activity.
/// Fails with sandbox_not_found: also when the lease ran out first.
struct refresh_sandbox {
  principal caller;
  sandbox_id id;
  std::uint32_t ttl_seconds = 0;
};

/// Asks for the right to use a sandbox's data plane; answered by sandbox_opened. Counts as activity.
/// Fails with sandbox_not_found, with sandbox_failed while it is not ready, and with sandbox_paused when a
/// caller paused it.
struct open_sandbox {
  principal caller;
  sandbox_id id;
};

/// The caller may now take the sandbox_io of `id` from the data plane.
struct sandbox_opened {
  sandbox_id id;
};

/// Asks what sandboxes use; answered by vector<sandbox_stats>. Unknown ids are left out.
struct get_stats {
  principal caller;
  std::vector<sandbox_id> ids; ///< empty: all of the tenant's
};

/// Use of one sandbox, as its cgroups count it.
struct sandbox_stats {
  sandbox_id id;
  double cpu_cores_used = 0; ///< mean since the previous question, or since the start
  std::uint32_t cpu_millis_limit = 0;
  std::uint64_t memory_bytes = 0; ///< without the page cache that could be dropped at once
  std::uint64_t memory_limit_bytes = 0;
  std::uint64_t disk_bytes = 0; ///< blocks allocated by the sandbox's own disk
  std::uint64_t disk_limit_bytes = 0;
  std::uint32_t pids = 0;
  std::uint32_t pids_limit = 0;
  std::uint64_t oom_kills = 0;
  unix_millis updated_at = 0;
};

/// Asks for life-cycle log lines of one sandbox; answered by vector<log_line>, oldest first.
struct get_logs {
  principal caller;
  sandbox_id id;
  std::uint32_t tail = 0; ///< at most this many of the newest; 0: all that are kept
};

struct log_line {
  unix_millis timestamp = 0;
  std::string source; ///< "sandbox", or the program that wrote it
  std::string line;
};

/// Asks whether something inside listens on a TCP port; answered by bool. Counts as activity. Fails as
/// open_sandbox does.
struct probe_port {
  principal caller;
  sandbox_id id;
  std::uint16_t port = 0;
};

/// Worker -> sandbox: make it, or take over one that already runs; answered by sandbox_info when it is ready.
/// Sent once.
struct start_sandbox {};

/// Worker -> sandbox: end for this reason; answered by sandbox_ended. The first reason counts.
struct end_sandbox {
  end_reason reason = end_reason::terminated;
};

template <class Inspector>
auto inspect(Inspector& f, start_sandbox&) {
  return f(caf::meta::type_name("start_sandbox"));
}
template <class Inspector>
auto inspect(Inspector& f, end_sandbox& x) {
  return f(caf::meta::type_name("end_sandbox"), x.reason);
}
template <class Inspector>
auto inspect(Inspector& f, resource_limits& x) {
  return f(caf::meta::type_name("resource_limits"), x.memory_bytes, x.cpu_millis, x.pids, x.disk_bytes);
}
template <class Inspector>
auto inspect(Inspector& f, create_sandbox& x) {
  return f(caf::meta::type_name("create_sandbox"), x.caller, x.parent, x.flavor, x.image, x.limits,
           x.ttl_seconds, x.priority, x.preemptable, x.expose_ports, x.env, x.workdir, x.upstream,
           x.idle_timeout_seconds, x.pause_on_idle, x.connect_to, x.network, x.private_ports, x.secrets,
           x.docker_socket);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_info& x) {
  return f(caf::meta::type_name("sandbox_info"), x.id, x.tenant, x.parent, x.state, x.flavor, x.image,
           x.limits, x.priority, x.preemptable, x.expose_ports, x.upstream, x.workdir, x.created_at,
           x.expires_at, x.ttl_seconds, x.latest_end, x.idle_timeout_seconds, x.pause_on_idle, x.paused,
           x.network, x.private_ports, x.secrets, x.agents, x.runtime, x.docker_socket);
}
template <class Inspector>
auto inspect(Inspector& f, get_sandbox& x) {
  return f(caf::meta::type_name("get_sandbox"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, list_sandboxes& x) {
  return f(caf::meta::type_name("list_sandboxes"), x.caller, x.parent);
}
template <class Inspector>
auto inspect(Inspector& f, terminate_sandbox& x) {
  return f(caf::meta::type_name("terminate_sandbox"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_ended& x) {
  return f(caf::meta::type_name("sandbox_ended"), x.id, x.reason);
}
template <class Inspector>
auto inspect(Inspector& f, refresh_sandbox& x) {
  return f(caf::meta::type_name("refresh_sandbox"), x.caller, x.id, x.ttl_seconds);
}
template <class Inspector>
auto inspect(Inspector& f, open_sandbox& x) {
  return f(caf::meta::type_name("open_sandbox"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_opened& x) {
  return f(caf::meta::type_name("sandbox_opened"), x.id);
}
template <class Inspector>
auto inspect(Inspector& f, get_stats& x) {
  return f(caf::meta::type_name("get_stats"), x.caller, x.ids);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_stats& x) {
  return f(caf::meta::type_name("sandbox_stats"), x.id, x.cpu_cores_used, x.cpu_millis_limit, x.memory_bytes,
           x.memory_limit_bytes, x.disk_bytes, x.disk_limit_bytes, x.pids, x.pids_limit, x.oom_kills,
           x.updated_at);
}
template <class Inspector>
auto inspect(Inspector& f, get_logs& x) {
  return f(caf::meta::type_name("get_logs"), x.caller, x.id, x.tail);
}
template <class Inspector>
auto inspect(Inspector& f, log_line& x) {
  return f(caf::meta::type_name("log_line"), x.timestamp, x.source, x.line);
}
template <class Inspector>
auto inspect(Inspector& f, probe_port& x) {
  return f(caf::meta::type_name("probe_port"), x.caller, x.id, x.port);
}

struct claim_sandbox; // messages/pool.hpp
struct pause_sandbox; // messages/pause.hpp
struct resume_sandbox;
struct keep_layer; // messages/image.hpp
struct layer_kept;
struct run_agent; // messages/agent.hpp
struct agent_run_started;
struct cancel_agent;
struct get_agent_run;
struct list_agent_runs;
struct agent_run_info;
struct run_container; // messages/container.hpp
struct list_containers;
struct get_container;
struct stop_container;
struct remove_container;
struct container_info;

/// One living sandbox. Spawned and monitored by its worker; alone releases what the kernel holds for it.
using sandbox_actor = caf::typed_actor<
    caf::replies_to<claim_sandbox>::with<sandbox_info>, caf::replies_to<start_sandbox>::with<sandbox_info>,
    caf::replies_to<end_sandbox>::with<sandbox_ended>, caf::replies_to<get_sandbox>::with<sandbox_info>,
    caf::replies_to<refresh_sandbox>::with<sandbox_info>, caf::replies_to<open_sandbox>::with<sandbox_opened>,
    caf::replies_to<get_stats>::with<sandbox_stats>, caf::replies_to<get_logs>::with<std::vector<log_line>>,
    caf::replies_to<probe_port>::with<bool>, caf::replies_to<pause_sandbox>::with<sandbox_info>,
    caf::replies_to<resume_sandbox>::with<sandbox_info>, caf::replies_to<keep_layer>::with<layer_kept>,
    caf::replies_to<run_agent>::with<agent_run_started>, caf::replies_to<cancel_agent>::with<bool>,
    caf::replies_to<get_agent_run>::with<agent_run_info>,
    caf::replies_to<list_agent_runs>::with<std::vector<agent_run_info>>,
    caf::replies_to<get_network>::with<network_report>, caf::replies_to<set_network>::with<network_report>,
    caf::replies_to<bound_network>::with<void>, caf::replies_to<run_container>::with<container_info>,
    caf::replies_to<list_containers>::with<std::vector<container_info>>,
    caf::replies_to<get_container>::with<container_info>,
    caf::replies_to<stop_container>::with<container_info>,
    caf::replies_to<remove_container>::with<container_info>>;

} // namespace sandy
