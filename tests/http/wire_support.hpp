#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http {

/// One event of a stream.
struct told {
  std::string event;
  nlohmann::json data;
};

/// The events of a stream in their order; each must say of itself the type that its line says. Comments are
/// left out.
std::vector<told> events_of(std::string_view stream);
/// Their types.
std::vector<std::string> types_of(const std::vector<told>& events);

/// The stream of chat completions that a model answers with when it thinks, says a sentence and calls two
/// tools.
std::vector<nlohmann::json> chat_chunks();
nlohmann::json chat_delta(nlohmann::json delta, nlohmann::json finish = nullptr);

/// What is refused of `request`, with each value in it, at any depth, replaced by values of other types.
/// @param read tells the error, none for success. Every refusal must be an invalid_argument that begins with
/// a name in the request.
void check_wrong_types(const nlohmann::json& request, caf::error (*read)(const nlohmann::json&));

} // namespace sandy::http
