#pragma once

// Conversation: edge -> worker -> sandbox -> agent run. A command-line agent that works in a sandbox.

#include "messages/sandbox.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/typed_actor.hpp>

namespace sandy {

/// How a run ended, or that it goes on.
enum class run_status : std::uint8_t {
  none,
  running,
  succeeded,
  failed,
  cancelled,
  timed_out,
  sandbox_ended
};

std::string to_string(run_status status);

/// What somebody wants an agent to do. Texts that are empty were not given.
struct agent_order {
  std::string agent; ///< id or alias
  std::string model;
  std::string prompt;
  bool raw_prompt = false; ///< nothing is added to the prompt
  std::string system_prompt;
  std::string system_prompt_path; ///< a file in the sandbox; the inline text wins
  std::string base_url;           ///< of the model's interface
  std::string api_key;
  std::string session_id; ///< of an earlier run, to go on with
  std::string directory;  ///< working directory
  environment env;
  std::uint64_t max_ms = 600'000; ///< wall clock, for the whole run
};

/// Starts a run; answered by agent_run_started. Fails with sandbox_not_found, invalid_argument (no such
/// agent, or something that it cannot do), conflict (an agent runs in this sandbox already), and what
/// `open_sandbox` fails with.
struct run_agent {
  principal caller;
  sandbox_id id;
  agent_order order;
};

struct agent_run_started {
  caf::strong_actor_ptr run; ///< an agent_run_actor
};

/// Ends the run of a sandbox's agent; answered by whether there was one. Its stream ends in order.
struct cancel_agent {
  principal caller;
  sandbox_id id;
  bool server_stops = false; ///< that is why, and no caller of ours
};

/// Asks what the agent of a sandbox does, or did last; answered by agent_run_info.
struct get_agent_run {
  principal caller;
  sandbox_id id;
};

struct agent_run_info {
  std::string id; ///< of the run, unique; empty: there was none
  run_status status = run_status::none;
  std::string agent; ///< id
  std::string model;
  unix_millis started_at = 0;
  unix_millis ended_at = 0;       ///< 0 while it runs
  std::int32_t exit_code = 0;     ///< when it ended
  std::string session_id;         ///< for a later run that goes on with this one; empty: the agent said none
  std::string current;            ///< what it does at the moment, in a few words
  std::uint32_t steps = 0;        ///< tools it used so far
  std::vector<std::string> files; ///< created or modified, relative to /workspace; the first 1000
  std::string output;             ///< its answer, or else the end of what it printed; at most 1 MiB
  std::string error;              ///< why it failed; empty otherwise
};

/// Asks for the runs of a sandbox's agents; answered by vector<agent_run_info>, the newest first, at most
/// `most_kept_runs` of them. Their `output` is cut to its last `most_kept_output` bytes.
struct list_agent_runs {
  principal caller;
  sandbox_id id;
};

/// Of one sandbox. Older ones are forgotten.
inline constexpr std::size_t most_kept_runs = 100;
inline constexpr std::size_t most_kept_output = 64 * 1024;

/// Sandbox -> run: begin. Answered when the run is sure to have a stream; fails with invalid_argument when
/// the agent cannot do what was ordered.
struct start_agent_run {};

/// Asks for the next events of a run, as the text of server-sent events; answered by agent_events as soon as
/// there is one, at the latest after the time between two heartbeats. For one reader: an event is handed out
/// once.
struct read_agent_events {};

struct agent_events {
  std::string text;
  bool last = false; ///< nothing follows
};

/// An agent that this server knows.
struct agent_info {
  std::string id;
  std::string name;
  bool installed = false; ///< in one of this installation's images
};

/// Asks which agents there are; answered by vector<agent_info>, by id.
struct list_agents {};

/// The reader is gone: the run is cancelled after a grace.
struct leave_agent_run {};

/// Ends a run; answered by whether it was running.
struct cancel_agent_run {
  bool server_stops = false; ///< that is why
};

template <class Inspector>
auto inspect(Inspector& f, agent_order& x) {
  return f(caf::meta::type_name("agent_order"), x.agent, x.model, x.prompt, x.raw_prompt, x.system_prompt,
           x.system_prompt_path, x.base_url, x.api_key, x.session_id, x.directory, x.env, x.max_ms);
}
template <class Inspector>
auto inspect(Inspector& f, run_agent& x) {
  return f(caf::meta::type_name("run_agent"), x.caller, x.id, x.order);
}
template <class Inspector>
auto inspect(Inspector& f, agent_run_started& x) {
  return f(caf::meta::type_name("agent_run_started"), x.run);
}
template <class Inspector>
auto inspect(Inspector& f, cancel_agent& x) {
  return f(caf::meta::type_name("cancel_agent"), x.caller, x.id, x.server_stops);
}
template <class Inspector>
auto inspect(Inspector& f, get_agent_run& x) {
  return f(caf::meta::type_name("get_agent_run"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, agent_run_info& x) {
  return f(caf::meta::type_name("agent_run_info"), x.id, x.status, x.agent, x.model, x.started_at, x.ended_at,
           x.exit_code, x.session_id, x.current, x.steps, x.files, x.output, x.error);
}
template <class Inspector>
auto inspect(Inspector& f, list_agent_runs& x) {
  return f(caf::meta::type_name("list_agent_runs"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, start_agent_run&) {
  return f(caf::meta::type_name("start_agent_run"));
}
template <class Inspector>
auto inspect(Inspector& f, read_agent_events&) {
  return f(caf::meta::type_name("read_agent_events"));
}
template <class Inspector>
auto inspect(Inspector& f, agent_events& x) {
  return f(caf::meta::type_name("agent_events"), x.text, x.last);
}
template <class Inspector>
auto inspect(Inspector& f, agent_info& x) {
  return f(caf::meta::type_name("agent_info"), x.id, x.name, x.installed);
}
template <class Inspector>
auto inspect(Inspector& f, list_agents&) {
  return f(caf::meta::type_name("list_agents"));
}
template <class Inspector>
auto inspect(Inspector& f, leave_agent_run&) {
  return f(caf::meta::type_name("leave_agent_run"));
}
template <class Inspector>
auto inspect(Inspector& f, cancel_agent_run& x) {
  return f(caf::meta::type_name("cancel_agent_run"), x.server_stops);
}

/// One agent at work. Answers until its last event was taken, or until nobody came for it.
using agent_run_actor =
    caf::typed_actor<caf::replies_to<start_agent_run>::with<void>,
                     caf::replies_to<read_agent_events>::with<agent_events>,
                     caf::replies_to<get_agent_run>::with<agent_run_info>,
                     caf::replies_to<cancel_agent_run>::with<bool>, caf::reacts_to<leave_agent_run>>;

} // namespace sandy
