#include "http/gateway/wire/messages_answer.hpp"

#include "http/codec/fields.hpp"
#include "http/gateway/wire/errors.hpp"
#include "http/sse.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

void append(std::string& out, std::string_view type, json event) {
  event["type"] = type;
  append_event(out, {type, event.dump(-1, ' ', false, json::error_handler_t::replace), {}});
}

json usage_json(const token_usage& usage) {
  return {{"input_tokens", usage.input - usage.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached},
          {"output_tokens", usage.output}};
}

json message_json(const messages_answer_head& head, const token_usage& usage) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", json::array()},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", usage_json(usage)}};
}

/// Why the message ended: {"stop_reason", "stop_sequence"}.
json ending(const messages_answer_head& head, std::string_view finish, const std::string& sequence,
            bool called) {
  json end{{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}};
  if (finish == "length")
    end["stop_reason"] = "max_tokens";
  else if (finish == "content_filter")
    end["stop_reason"] = "refusal";
  else if (called) // some models say "stop" then
    end["stop_reason"] = "tool_use";
  else if (std::ranges::find(head.stop, sequence) != head.stop.end())
    end = {{"stop_reason", "stop_sequence"}, {"stop_sequence", sequence}};
  return end;
}

/// Clients send the id back with the tool's result; a model may have given none.
std::string call_id(const messages_answer_head& head, const tool_piece& piece, std::size_t number) {
  return piece.id.empty() ? head.id + "_call_" + std::to_string(number) : piece.id;
}

} // namespace

result<json> messages_answer::whole(const json& completion) {
  auto read = read_chat_answer(completion);
  if (!read)
    return read.error();
  auto message = message_json(head_, read->usage.value_or(token_usage{}));
  auto& content = message["content"];
  if (head_.thinking && !read->reasoning.empty())
    content.push_back({{"type", "thinking"}, {"thinking", read->reasoning}, {"signature", ""}});
  if (!read->text.empty())
    content.push_back({{"type", "text"}, {"text", read->text}});
  for (std::size_t i = 0; i < read->tools.size(); ++i) {
    const auto& tool = read->tools[i];
    auto input = codec::parse_untrusted(tool.arguments.empty() ? "{}" : tool.arguments);
    if (!input.is_object())
      return sandy::fail(errc::upstream_error,
                         "The model called a tool with arguments that are no JSON object");
    content.push_back({{"type", "tool_use"},
                       {"id", call_id(head_, tool, i)},
                       {"name", tool.name},
                       {"input", std::move(input)}});
  }
  message.update(ending(head_, read->finish, read->stop_sequence, !read->tools.empty()));
  return message;
}

result<void> messages_answer::chunk(const json& chunk, std::string& out) {
  auto read = read_chat_piece(chunk);
  if (!read)
    return read.error();
  begin(out);
  if (read->usage)
    usage_ = *read->usage;
  if (!read->finish.empty())
    finish_ = std::move(read->finish);
  if (!read->stop_sequence.empty())
    stop_sequence_ = std::move(read->stop_sequence);
  if (head_.thinking && !read->reasoning.empty()) {
    if (open_ != block::thinking)
      open(block::thinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}, out);
    delta({{"type", "thinking_delta"}, {"thinking", std::move(read->reasoning)}}, out);
  }
  if (!read->text.empty()) {
    if (open_ != block::text)
      open(block::text, {{"type", "text"}, {"text", ""}}, out);
    delta({{"type", "text_delta"}, {"text", std::move(read->text)}}, out);
  }
  for (const auto& piece : read->tools)
    if (auto added = add(piece, out); !added)
      return added.error();
  return caf::unit;
}

void messages_answer::ping(std::string& out) {
  begin(out);
  append(out, "ping", json::object());
}

void messages_answer::finish(std::string& out) {
  begin(out);
  close(out);
  append(out, "message_delta",
         {{"delta", ending(head_, finish_, stop_sequence_, tools_ > 0)}, {"usage", usage_json(usage_)}});
  append(out, "message_stop", json::object());
}

void messages_answer::fail(const caf::error& why, std::string& out) {
  append_event(out, {"error", messages_error(why), {}});
}

void messages_answer::begin(std::string& out) {
  if (!std::exchange(begun_, true))
    append(out, "message_start", {{"message", message_json(head_, usage_)}});
}

void messages_answer::open(block kind, json content, std::string& out) {
  close(out);
  open_ = kind;
  append(out, "content_block_start", {{"index", index_}, {"content_block", std::move(content)}});
}

void messages_answer::close(std::string& out) {
  if (std::exchange(open_, block::none) != block::none)
    append(out, "content_block_stop", {{"index", index_++}});
}

void messages_answer::delta(json delta, std::string& out) {
  append(out, "content_block_delta", {{"index", index_}, {"delta", std::move(delta)}});
}

result<void> messages_answer::add(const tool_piece& piece, std::string& out) {
  if (open_ != block::tool || begins_call(piece, tool_)) {
    if (piece.name.empty())
      return sandy::fail(errc::upstream_error, "The model went on with a call of a tool that had ended");
    open(block::tool,
         {{"type", "tool_use"},
          {"id", call_id(head_, piece, tools_)},
          {"name", piece.name},
          {"input", json::object()}},
         out);
    tool_ = {piece.index, piece.id};
    ++tools_;
  }
  if (!piece.arguments.empty())
    delta({{"type", "input_json_delta"}, {"partial_json", piece.arguments}}, out);
  return caf::unit;
}

} // namespace sandy::http::gateway::wire
