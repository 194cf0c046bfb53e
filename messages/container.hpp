#pragma once

// Conversation: edge -> worker -> sandbox -> container. A program from an image of its own, beside what runs
// in a sandbox: a Janus container above all, which answers OpenAI chat completions.

#include "messages/sandbox.hpp"

#include <caf/typed_actor.hpp>

namespace sandy {

/// Names a container for ever: "ct-" and 21 lower-case hex digits from the kernel's random source.
struct container_id {
  std::string value;
  friend auto operator<=>(const container_id&, const container_id&) = default;
};

container_id make_container_id();

/// True for what `make_container_id` makes. No sandbox has such an id.
bool is_container_id(std::string_view text) noexcept;

enum class container_status : std::uint8_t {
  creating,
  running,    ///< its program runs
  restarting, ///< its program ended, and is started again after a pause
  stopping,
  exited ///< its program ended, or was stopped, and is not started again; its output is still there
};
std::string to_string(container_status status);

/// What `GET /health` of its port says.
enum class container_health : std::uint8_t {
  none,     ///< its program does not run
  starting, ///< it has not answered yet, and its time to start is not over
  healthy,
  unhealthy
};
std::string to_string(container_health health);

/// Whether a program that ended is started again.
enum class restart_policy : std::uint8_t { never, on_failure, always };
std::string to_string(restart_policy policy); ///< "no", "on-failure", "always"

/// What somebody wants to run. Texts that are empty were not given.
struct container_order {
  std::string image; ///< name in the image store
  std::string name;  ///< for people
  environment env;   ///< has the last word
  std::string llm_api_key;
  std::string memory_url, search_url;
  std::vector<std::string> command;    ///< instead of what the image says; empty: the image's
  std::uint32_t timeout_seconds = 300; ///< for one request to it
  std::uint16_t port = 8080;           ///< where it is to listen; another one when that is taken
  restart_policy restart = restart_policy::on_failure;
  std::uint32_t max_restarts = 5; ///< in a row, without being healthy in between
};

/// Runs a container; answered by container_info when it was healthy for the first time. Fails with
/// invalid_argument, upstream_error (the image cannot be had, or its program ended before it was healthy),
/// deadline_exceeded (it was not healthy in time), limit_reached, and what `open_sandbox` fails with. Nothing
/// of one that failed is left.
struct run_container {
  principal caller;
  sandbox_id id;
  container_order order;
};

struct container_info {
  container_id id;
  sandbox_id sandbox;
  std::string image;
  std::string name;
  std::uint16_t port = 0;
  container_status status = container_status::creating;
  container_health health = container_health::none;
  std::uint32_t timeout_seconds = 300;
  restart_policy restart = restart_policy::on_failure;
  std::uint32_t restarts = 0; ///< in its life
  unix_millis created_at = 0;
  unix_millis started_at = 0;   ///< its program, the last time; 0: it was not
  unix_millis ended_at = 0;     ///< its program, the last time; 0: it has not
  std::int32_t exit_code = 0;   ///< when it ended
  std::uint32_t process_id = 0; ///< of its program, in its own sandbox_io; 0: none
  std::string error;            ///< why it does not run, or is not healthy; empty otherwise
  /// What its sandbox was made for: the program of the sandbox's own image, which runs in the sandbox itself,
  /// with its files and among its processes.
  bool workload = false;
};

/// Asks for the containers of a sandbox; answered by vector<container_info>, oldest first.
struct list_containers {
  principal caller;
  sandbox_id id;
};

/// Asks for one container and for the right to use its data plane: its sandbox_io is found by its id. Fails
/// with container_not_found, and what `open_sandbox` fails with.
struct get_container {
  principal caller;
  sandbox_id id;
  container_id container;
};

/// Ends the program of a container: asked first, killed after a grace. Answered by container_info when it has
/// ended. Idempotent.
struct stop_container {
  principal caller;
  sandbox_id id;
  container_id container;
  std::uint32_t grace_seconds = 10;
};

/// Ends a container, and answers with the last that was known of it when nothing of it is left. Of a workload
/// only its program ends: files and what else runs are the sandbox's.
struct remove_container {
  principal caller;
  sandbox_id id;
  container_id container;
};

/// Sandbox -> container: run the program; answered by container_info when it was healthy for the first time.
/// Of one that is found after a restart of the server, at once; of a workload when the program was started.
struct start_container {};

/// Sandbox -> container: is there still somebody, and how is it.
struct describe_container {};

/// Sandbox -> container: end the program.
struct end_container {
  std::uint32_t grace_seconds = 10;
};

template <class Inspector>
auto inspect(Inspector& f, container_id& x) {
  return f(caf::meta::type_name("container_id"), x.value);
}
template <class Inspector>
auto inspect(Inspector& f, container_order& x) {
  return f(caf::meta::type_name("container_order"), x.image, x.name, x.env, x.llm_api_key, x.memory_url,
           x.search_url, x.command, x.timeout_seconds, x.port, x.restart, x.max_restarts);
}
template <class Inspector>
auto inspect(Inspector& f, run_container& x) {
  return f(caf::meta::type_name("run_container"), x.caller, x.id, x.order);
}
template <class Inspector>
auto inspect(Inspector& f, container_info& x) {
  return f(caf::meta::type_name("container_info"), x.id, x.sandbox, x.image, x.name, x.port, x.status,
           x.health, x.timeout_seconds, x.restart, x.restarts, x.created_at, x.started_at, x.ended_at,
           x.exit_code, x.process_id, x.error, x.workload);
}
template <class Inspector>
auto inspect(Inspector& f, list_containers& x) {
  return f(caf::meta::type_name("list_containers"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, get_container& x) {
  return f(caf::meta::type_name("get_container"), x.caller, x.id, x.container);
}
template <class Inspector>
auto inspect(Inspector& f, stop_container& x) {
  return f(caf::meta::type_name("stop_container"), x.caller, x.id, x.container, x.grace_seconds);
}
template <class Inspector>
auto inspect(Inspector& f, remove_container& x) {
  return f(caf::meta::type_name("remove_container"), x.caller, x.id, x.container);
}
template <class Inspector>
auto inspect(Inspector& f, start_container&) {
  return f(caf::meta::type_name("start_container"));
}
template <class Inspector>
auto inspect(Inspector& f, describe_container&) {
  return f(caf::meta::type_name("describe_container"));
}
template <class Inspector>
auto inspect(Inspector& f, end_container& x) {
  return f(caf::meta::type_name("end_container"), x.grace_seconds);
}

/// One container. Spawned by its sandbox, which makes and removes what the kernel holds for it.
using container_actor = caf::typed_actor<caf::replies_to<start_container>::with<container_info>,
                                         caf::replies_to<describe_container>::with<container_info>,
                                         caf::replies_to<end_container>::with<container_info>>;

} // namespace sandy
