#pragma once

#include "messages/agent.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace sandy::http::codec {

/// A request to run an agent.
struct agent_request {
  agent_order order;
  bool stream = true; ///< false: one JSON object when the run is over
};

/// Fails with validation_failed (agent, model or prompt are missing, or a type is wrong) and
/// invalid_argument.
result<agent_request> parse_agent(const nlohmann::json& body);

/// What the run of a sandbox's agent is at.
nlohmann::json status_json(const agent_run_info& run, unix_millis now);

/// The answer to a request that wanted no stream.
nlohmann::json outcome_json(const agent_run_info& run);

/// With what they said.
nlohmann::json runs_json(const std::vector<agent_run_info>& runs, unix_millis now);

/// @param models told to callers.
nlohmann::json to_json(const std::vector<agent_info>& agents, const std::vector<std::string>& models);

/// The end of a stream whose run cannot be asked any more.
std::string lost_run_events(const caf::error& why);

} // namespace sandy::http::codec
