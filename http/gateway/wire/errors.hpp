#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy::http::gateway::wire {

/// The body of an error, and the data of an error event, as Anthropic's clients read it; with `detail`, as
/// everywhere.
std::string messages_error(const caf::error& err);

/// The body of an error as OpenAI's clients read it.
std::string responses_error(const caf::error& err);

/// The code of a response that failed in mid-stream.
std::string responses_error_code(const caf::error& err);

} // namespace sandy::http::gateway::wire
