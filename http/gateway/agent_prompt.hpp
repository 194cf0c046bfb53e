#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace sandy::http::gateway {

/// A conversation as an agent is told it.
struct agent_prompt {
  std::string system; ///< what the conversation's system messages say, and what an agent has to know of us
  std::string text;   ///< the last thing that was said, after all that came before it
};

/// @param messages of a chat request that was read: a list of objects
agent_prompt prompt_of(const nlohmann::json& messages);

} // namespace sandy::http::gateway
