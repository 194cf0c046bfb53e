#pragma once

#include "http/gateway/wire/responses_tools.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace sandy::http::gateway::wire {

/// How ids of such calls begin.
std::string_view call_prefix(tool_kind kind) noexcept;

/// The item of a call that begins.
nlohmann::json call_item(const responses_tool& tool, std::string id, std::string call_id);

/// Completes the item of a call. @param arguments as the model gave them; what is not the JSON that a custom
/// tool or the shell was described with is passed on as it is, for the client to judge.
void fill_call(tool_kind kind, const std::string& arguments, nlohmann::json& item);

} // namespace sandy::http::gateway::wire
