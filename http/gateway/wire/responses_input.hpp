#pragma once

#include "http/gateway/wire/conversation.hpp"
#include "http/gateway/wire/field.hpp"

namespace sandy::http::gateway::wire {

/// The conversation so far: a text, or a list of messages, calls of tools and what they returned.
void read_responses_input(const field& input, conversation& into);

} // namespace sandy::http::gateway::wire
