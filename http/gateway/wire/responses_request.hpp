#pragma once

#include "http/gateway/wire/responses_tools.hpp"
#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace sandy::http::gateway::wire {

/// A request of OpenAI's Responses, in the words of chat completions.
struct responses_request {
  nlohmann::json chat; ///< the chat request
  nlohmann::json echo; ///< what the answer repeats of the request
  responses_tools tools;
  bool stream = false;
  bool summary = false; ///< the client wants to see what the model thinks
};

/// Translates POST /v1/responses. Nothing is kept between requests: what refers to an earlier response is
/// refused; what other models have no word for (encrypted reasoning, hosted tools) is left out. Fails with
/// invalid_argument, naming the field.
result<responses_request> read_responses_request(const nlohmann::json& body);

} // namespace sandy::http::gateway::wire
