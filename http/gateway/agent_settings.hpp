#pragma once

#include <chrono>
#include <string>

namespace sandy::http::gateway {

/// Which agent answers a chat, and where.
struct agent_model_settings {
  std::string agent = "claude-code"; ///< of who names none in X-Baseline-Agent
  std::string model;                 ///< that the agent asks
  std::string flavor = "agent-ready";
  std::string base_url; ///< of that model's interface; empty: what runs of agents get that say nothing
  std::string api_key;  ///< the same
  std::chrono::seconds limit{600}; ///< of one run
};

} // namespace sandy::http::gateway
