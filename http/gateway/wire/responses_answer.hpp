#pragma once

#include "http/gateway/wire/chat_answer.hpp"
#include "http/gateway/wire/responses_tools.hpp"
#include "http/gateway/wire/translation.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sandy::http::gateway::wire {

/// What a response repeats of its request, and how its items are to be made.
struct responses_answer_head {
  std::string id;          ///< hex digits or the like: names of items are made of it
  std::int64_t created_at; ///< seconds since 1970
  nlohmann::json echo;
  responses_tools tools;
  bool summary = false;
};

/// Chat completions as responses, and their chunks as the events of Responses. Keeps the answer, which the
/// last event repeats: at most `answer_bytes_max` of it, in at most `items_max` items.
class responses_answer final : public translation {
public:
  static constexpr std::size_t answer_bytes_max = 32 * 1024 * 1024;
  static constexpr std::size_t items_max = 1024;

  explicit responses_answer(responses_answer_head head);

  result<nlohmann::json> whole(const nlohmann::json& completion) override;
  result<void> chunk(const nlohmann::json& chunk, std::string& out) override;
  /// The beginning of the stream, if nothing else came yet; later a comment.
  void ping(std::string& out) override;
  void finish(std::string& out) override;
  void fail(const caf::error& why, std::string& out) override;

private:
  enum class kind { none, reasoning, message, tool };
  static constexpr std::size_t item_bytes = 2048; ///< what an item takes beside its text, about

  void begin(std::string& out);
  void event(std::string_view type, nlohmann::json body, std::string& out);
  void lifecycle(std::string_view type, std::string& out);
  result<void> take(chat_piece read, std::string& out);
  result<void> text_delta(kind which, std::string text, std::string& out);
  result<void> add(const tool_piece& piece, std::string& out);
  result<void> open(kind which, nlohmann::json item, std::string& out);
  void close(std::string& out);
  void close_reasoning(std::string& out);
  void close_message(std::string& out);
  void close_tool(std::string& out);
  nlohmann::json place() const;
  std::string item_id(std::string_view prefix) const;

  responses_answer_head head_;
  nlohmann::json response_;
  bool begun_ = false;
  std::uint64_t number_ = 0;
  std::size_t bytes_ = 0;
  kind open_ = kind::none;
  nlohmann::json item_; ///< the open one
  std::string text_;    ///< of the open item: words, or arguments
  responses_tool tool_;
  tool_piece call_{};
  std::string finish_;
};

} // namespace sandy::http::gateway::wire
