#pragma once

#include "http/gateway/agent_settings.hpp"
#include "http/gateway/model.hpp"

#include <utility>

namespace sandy::http::gateway {

/// A model whose answers come from a command-line agent, in a sandbox that is made for the request and ends
/// with it. Its work is streamed as `reasoning_content` and `janus` events, its last word is the content;
/// what it leaves in /workspace/artifacts becomes artifacts. Immutable: for all threads.
class agent_model final : public own_model {
public:
  explicit agent_model(agent_model_settings settings)
      : settings_(std::move(settings)) {}
  io_task<result<void>> answer(exchange& ex, const chat_request& request, chat_sink& sink) override;

private:
  agent_model_settings settings_;
};

} // namespace sandy::http::gateway
