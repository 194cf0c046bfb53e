#pragma once

#include "http/exchange.hpp"
#include "http/gateway/agent_model.hpp"
#include "http/gateway/agent_steps.hpp"
#include "http/gateway/chat_request.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>

namespace sandy::http::gateway {

/// One chat that an agent answers. Lives in the frame of `agent_model::answer`; its sandbox ends with it.
class agent_answer {
public:
  agent_answer(exchange& ex, const agent_model_settings& settings, const chat_request& request,
               chat_sink& sink);
  agent_answer(const agent_answer&) = delete;
  agent_answer& operator=(const agent_answer&) = delete;
  /// Ends the sandbox.
  ~agent_answer();

  io_task<result<void>> run();

private:
  io_task<result<void>> prepare();
  io_task<result<void>> work();
  io_task<result<void>> collect();
  io_task<result<void>> finish();
  /// Does `work`; meanwhile the client of a stream gets comments. Fails with cancelled when the client is
  /// gone.
  template <class T>
  io_task<result<T>> accompanied(io_task<result<T>> work);
  io_task<void> company(const bool& over);
  io_task<result<void>> comment();
  io_task<result<void>> send(nlohmann::json delta, const char* finish_reason = nullptr);
  io_task<result<void>> write(const nlohmann::json& chunk);
  nlohmann::json chunk() const;
  nlohmann::json usage() const;

  exchange& ex_;
  const agent_model_settings& settings_;
  const chat_request& request_;
  chat_sink& sink_;
  agent_steps steps_;
  std::string reasoning_; ///< for an answer that is no stream: its beginning
  nlohmann::json artifacts_ = nlohmann::json::array();
  sandbox_id box_; ///< empty: there is none
  std::chrono::steady_clock::time_point boxed_at_{};
  std::int64_t created_ = 0; ///< seconds since the epoch
  bool begun_ = false;
};

} // namespace sandy::http::gateway
