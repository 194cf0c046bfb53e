#pragma once

#include "http/gateway/chat_request.hpp"
#include "http/gateway/model.hpp"
#include "messages/sandbox_io.hpp"

#include <string>

namespace sandy::http::gateway {

/// How a chat is told apart in logs, answers and requests to backends.
struct chat_ids {
  std::string request; ///< the id of the completion, too
  std::string correlation;
  std::string debug; ///< empty: nobody asked for one
};

/// The ids of the chat that came with this request.
chat_ids ids_of(exchange& ex, bool debug);

/// Asks a model, and passes its answer on as it comes: a stream when the request wants one, else a whole
/// answer. Backends that fail before they said anything are followed by others, those that sleep are woken;
/// while nothing comes a stream gets comments. Counts the chat.
///
/// Before anything was answered it fails: upstream_error, deadline_exceeded, capacity_exhausted, cancelled
/// (the client is gone), and what a backend fails with. After that failures are told in the stream, as a
/// chunk of content; a client that leaves ends it.
/// @param of what `gateway::route` led to
io_task<result<void>> chat(exchange& ex, const model& of, chat_request request, chat_ids ids,
                           chat_sink& sink);

} // namespace sandy::http::gateway
