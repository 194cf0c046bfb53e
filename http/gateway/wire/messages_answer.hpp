#pragma once

#include "http/gateway/wire/chat_answer.hpp"
#include "http/gateway/wire/translation.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::gateway::wire {

/// What a Messages answer repeats of its request.
struct messages_answer_head {
  std::string id; ///< of the message
  std::string model;
  bool thinking = false;
  std::vector<std::string> stop{};
};

/// Chat completions as messages, and their chunks as the events of Messages. Nothing is kept of what has been
/// passed on.
class messages_answer final : public translation {
public:
  explicit messages_answer(messages_answer_head head)
      : head_{std::move(head)} {}

  result<nlohmann::json> whole(const nlohmann::json& completion) override;
  result<void> chunk(const nlohmann::json& chunk, std::string& out) override;
  void ping(std::string& out) override;
  void finish(std::string& out) override;
  void fail(const caf::error& why, std::string& out) override;

private:
  enum class block { none, thinking, text, tool };

  void begin(std::string& out);
  void open(block kind, nlohmann::json content, std::string& out);
  void close(std::string& out);
  void delta(nlohmann::json delta, std::string& out);
  result<void> add(const tool_piece& piece, std::string& out);

  messages_answer_head head_;
  bool begun_ = false;
  block open_ = block::none;
  std::size_t index_ = 0; ///< of the open block, or of the next one
  std::size_t tools_ = 0; ///< calls begun
  tool_piece tool_{};     ///< the call that is open: its index and id
  std::string finish_;
  std::string stop_sequence_;
  token_usage usage_;
};

} // namespace sandy::http::gateway::wire
