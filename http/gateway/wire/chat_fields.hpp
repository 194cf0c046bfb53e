#pragma once

#include "http/gateway/wire/field.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace sandy::http::gateway::wire {

/// A tool in chat completions. @param schema of its arguments.
nlohmann::json function_tool(std::string_view name, std::string_view description, nlohmann::json schema);

/// Offers the tools, if there are any. A mistake in `choice` where `chat` asks for a tool that is not
/// offered: the model cannot be made to call what was left out.
void set_tools(nlohmann::json tools, const field& choice, nlohmann::json& chat);

/// Copies a number, if there is one.
void set_number(const field& number, std::string_view name, nlohmann::json& chat);

/// Whether the answer is to be a stream; then usage is asked for with it.
bool set_stream(const field& stream, nlohmann::json& chat);

/// Copies what the gateway understands beyond the dialects: who competes, memory, generation.
void set_extensions(const field& request, nlohmann::json& chat);

} // namespace sandy::http::gateway::wire
