#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace sandy::http::gateway::wire {

/// A request of Anthropic's Messages, in the words of chat completions.
struct messages_request {
  nlohmann::json chat; ///< the chat request
  std::string model;   ///< as the client named it
  bool stream = false;
  bool thinking = false;           ///< the client wants to see what the model thinks
  std::vector<std::string> stop{}; ///< the client's stop sequences
};

/// Translates POST /v1/messages. What other models have no word for is left out (cache control, thinking
/// budgets, tools that Anthropic's servers run). Fails with invalid_argument, naming the field.
result<messages_request> read_messages_request(const nlohmann::json& body);

} // namespace sandy::http::gateway::wire
