#pragma once

#include "http/gateway/wire/conversation.hpp"
#include "http/gateway/wire/field.hpp"

#include <set>
#include <string>
#include <vector>

namespace sandy::http::gateway::wire {

/// Content that may hold texts only, as instructions do.
std::vector<std::string> messages_texts(const field& content);

/// What a user says, and what tools returned. @param referenced gets the names of tools that a search found.
void read_user_content(const field& content, conversation& into, std::set<std::string>& referenced);

/// What the model said, and the tools it called. What it thought is left out: no other model can read it.
void read_assistant_content(const field& content, conversation& into);

} // namespace sandy::http::gateway::wire
