#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace sandy::http::gateway {

/// A chat that was read and understood.
struct chat_request {
  nlohmann::json body;    ///< as it is forwarded: without what is ours, files as text
  std::string text;       ///< the same, when it is what the client sent; else empty
  std::string model;      ///< that the client names
  std::string competitor; ///< that it insists on; empty: on none
  bool stream = false;
  bool debug = false;
};

/// Reads a chat. On mistakes `problems` gets one entry each, as FastAPI's clients know them ({"loc", "msg",
/// "type"}), and the answer is 422. Fails with invalid_argument for what is no JSON, and with
/// validation_failed when there are problems.
result<chat_request> read_chat(std::string text, nlohmann::json& problems);

/// The same from JSON that somebody made.
result<chat_request> understand_chat(nlohmann::json body, nlohmann::json& problems);

} // namespace sandy::http::gateway
