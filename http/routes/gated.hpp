#pragma once

#include "http/gateway/chat.hpp"
#include "http/gateway/gateway.hpp"
#include "http/routes/common.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace sandy::http::routes {

/// Whether the request may reach the gateway's routes: there is one, who asks is no sandbox, unless those
/// may, and knows the password of the time before the release, if there is one. Else it was answered.
io_task<bool> let_in(exchange& ex);

/// Makes a handler of the gateway's routes.
template <body Body>
io_task<void> gated(exchange& ex) {
  auto in = co_await let_in(ex);
  if (!in)
    co_return;
  auto outcome = co_await Body(ex);
  if (!outcome)
    co_await ex.reply_error(outcome.error());
}

/// A model as lists show it.
nlohmann::json model_entry(const gateway::model& of);

/// The body of a 404 about a model.
nlohmann::json no_model_body(const std::string& text);

/// Answers a chat that has mistakes: the list of them.
io_task<void> reply_problems(exchange& ex, nlohmann::json problems);

/// Why there is no model for a chat.
std::string no_model_text(const gateway::chat_request& request);

/// Answers a chat for which there is no model.
io_task<void> reply_no_model(exchange& ex, const gateway::chat_request& request);

} // namespace sandy::http::routes
