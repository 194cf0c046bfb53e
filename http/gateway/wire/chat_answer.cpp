#include "http/gateway/wire/chat_answer.hpp"

#include <algorithm>
#include <string_view>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

const json& member(const json& object, std::string_view name) {
  static const json nothing;
  if (!object.is_object())
    return nothing;
  auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string{};
}

/// A whole number that is not negative.
std::optional<std::uint64_t> whole_of(const json& value) {
  if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0))
    return std::nullopt;
  return value.get<std::uint64_t>();
}

std::uint64_t count_of(const json& value) { return whole_of(value).value_or(0); }

/// Content is a text, or a list with texts among other parts.
std::string content_of(const json& content) {
  if (!content.is_array())
    return text_of(content);
  std::string text;
  for (const auto& part : content)
    text += text_of(member(part, "text"));
  return text;
}

std::optional<token_usage> usage_of(const json& usage) {
  if (!usage.is_object())
    return std::nullopt;
  token_usage read;
  read.input = count_of(member(usage, "prompt_tokens"));
  read.output = count_of(member(usage, "completion_tokens"));
  read.cached = count_of(member(member(usage, "prompt_tokens_details"), "cached_tokens"));
  read.reasoning = count_of(member(member(usage, "completion_tokens_details"), "reasoning_tokens"));
  read.cached = std::min(read.cached, read.input);
  return read;
}

/// What an upstream says of its failure: {"message"}, or the text itself.
std::string failure_of(const json& error) {
  auto text = text_of(error.is_object() ? member(error, "message") : error);
  return text.empty() ? "The model failed" : text;
}

result<std::vector<tool_piece>> tools_of(const json& calls) {
  std::vector<tool_piece> pieces;
  if (!calls.is_array())
    return pieces;
  for (const auto& call : calls) {
    const auto& function = member(call, "function");
    tool_piece piece;
    piece.index = whole_of(member(call, "index")).value_or(pieces.size());
    if (piece.index >= tool_calls_max)
      return fail(errc::upstream_error, "The model called too many tools at once");
    piece.id = text_of(member(call, "id"));
    piece.name = text_of(member(function, "name"));
    const auto& arguments = member(function, "arguments");
    piece.arguments = arguments.is_object() ? arguments.dump(-1, ' ', false, json::error_handler_t::replace)
                                            : text_of(arguments);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

} // namespace

bool begins_call(const tool_piece& piece, const tool_piece& last) {
  return piece.index != last.index || (!piece.name.empty() && !piece.id.empty() && piece.id != last.id);
}

result<chat_piece> read_chat_piece(const json& chunk) {
  if (!chunk.is_object())
    return fail(errc::upstream_error, "The model's answer is no JSON object");
  const auto& error = member(chunk, "error");
  if (!error.is_null())
    return fail(errc::upstream_error, failure_of(error));
  chat_piece piece;
  piece.usage = usage_of(member(chunk, "usage"));
  const auto& choices = member(chunk, "choices");
  if (!choices.is_array() || choices.empty())
    return piece;
  const auto& choice = choices.front();
  const auto& delta = member(choice, member(choice, "delta").is_null() ? "message" : "delta");
  piece.text = content_of(member(delta, "content"));
  piece.text += text_of(member(delta, "refusal"));
  piece.reasoning = text_of(member(delta, "reasoning_content"));
  if (piece.reasoning.empty())
    piece.reasoning = text_of(member(delta, "reasoning"));
  auto tools = tools_of(member(delta, "tool_calls"));
  if (!tools)
    return tools.error();
  piece.tools = std::move(*tools);
  piece.finish = text_of(member(choice, "finish_reason"));
  piece.stop_sequence = text_of(member(choice, "stop_reason"));
  return piece;
}

result<chat_piece> read_chat_answer(const json& completion) {
  auto read = read_chat_piece(completion);
  if (read && !member(completion, "choices").is_array())
    return fail(errc::upstream_error, "The model's answer has no choices");
  return read;
}

} // namespace sandy::http::gateway::wire
