#include "http/gateway/wire/responses_answer.hpp"

#include "http/gateway/wire/errors.hpp"
#include "http/gateway/wire/responses_calls.hpp"
#include "http/sse.hpp"

#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

json usage_json(const token_usage& usage) {
  return {{"input_tokens", usage.input},
          {"input_tokens_details", {{"cached_tokens", usage.cached}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.output},
          {"output_tokens_details", {{"reasoning_tokens", usage.reasoning}}},
          {"total_tokens", usage.input + usage.output}};
}

json output_text(std::string text) {
  return {{"type", "output_text"},
          {"text", std::move(text)},
          {"annotations", json::array()},
          {"logprobs", json::array()}};
}

caf::error too_long() { return sandy::fail(errc::upstream_error, "The model's answer is too long"); }

json summary_text(std::string text) { return {{"type", "summary_text"}, {"text", std::move(text)}}; }

} // namespace

responses_answer::responses_answer(responses_answer_head head)
    : head_{std::move(head)}
    , response_(std::move(head_.echo)) {
  response_["id"] = "resp_" + head_.id;
  response_["created_at"] = head_.created_at;
  response_["status"] = "in_progress";
  response_["error"] = nullptr;
  response_["incomplete_details"] = nullptr;
  response_["output"] = json::array();
  response_["usage"] = nullptr;
}

result<json> responses_answer::whole(const json& completion) {
  std::string events; // nobody reads them: the response is what they come to
  auto read = read_chat_answer(completion);
  if (!read)
    return read.error();
  if (auto taken = take(std::move(*read), events); !taken)
    return taken.error();
  finish(events);
  return std::move(response_);
}

result<void> responses_answer::chunk(const json& chunk, std::string& out) {
  auto read = read_chat_piece(chunk);
  if (!read)
    return read.error();
  return take(std::move(*read), out);
}

result<void> responses_answer::take(chat_piece read, std::string& out) {
  begin(out);
  if (read.usage)
    response_["usage"] = usage_json(*read.usage);
  if (!read.finish.empty())
    finish_ = std::move(read.finish);
  bytes_ += read.text.size() + read.reasoning.size();
  for (const auto& piece : read.tools)
    bytes_ += piece.arguments.size() + piece.name.size() + piece.id.size();
  if (bytes_ > answer_bytes_max)
    return too_long();
  if (head_.summary && !read.reasoning.empty())
    if (auto told = text_delta(kind::reasoning, std::move(read.reasoning), out); !told)
      return told.error();
  if (!read.text.empty())
    if (auto told = text_delta(kind::message, std::move(read.text), out); !told)
      return told.error();
  for (const auto& piece : read.tools)
    if (auto added = add(piece, out); !added)
      return added.error();
  return caf::unit;
}

void responses_answer::ping(std::string& out) {
  if (begun_)
    out += sse_heartbeat;
  else
    begin(out);
}

void responses_answer::finish(std::string& out) {
  begin(out);
  close(out);
  auto cut = finish_ == "length" || finish_ == "content_filter";
  response_["status"] = cut ? "incomplete" : "completed";
  if (cut)
    response_["incomplete_details"] = {
        {"reason", finish_ == "length" ? "max_output_tokens" : "content_filter"}};
  lifecycle(cut ? "response.incomplete" : "response.completed", out);
}

void responses_answer::fail(const caf::error& why, std::string& out) {
  begin(out);
  response_["status"] = "failed";
  response_["error"] = {{"code", responses_error_code(why)}, {"message", text_of(why)}};
  lifecycle("response.failed", out);
}

void responses_answer::begin(std::string& out) {
  if (std::exchange(begun_, true))
    return;
  lifecycle("response.created", out);
  lifecycle("response.in_progress", out);
}

void responses_answer::event(std::string_view type, json body, std::string& out) {
  body["type"] = type;
  body["sequence_number"] = number_++;
  append_event(out, {type, body.dump(-1, ' ', false, json::error_handler_t::replace), {}});
}

void responses_answer::lifecycle(std::string_view type, std::string& out) {
  event(type, {{"response", response_}}, out);
}

std::string responses_answer::item_id(std::string_view prefix) const {
  return std::string{prefix} + head_.id + '_' + std::to_string(response_.at("output").size());
}

json responses_answer::place() const {
  return {{"item_id", item_.at("id")}, {"output_index", response_.at("output").size()}};
}

result<void> responses_answer::open(kind which, json item, std::string& out) {
  close(out);
  bytes_ += item_bytes;
  if (response_["output"].size() >= items_max || bytes_ > answer_bytes_max)
    return too_long();
  open_ = which;
  item_ = std::move(item);
  item_["status"] = "in_progress";
  event("response.output_item.added", {{"output_index", response_["output"].size()}, {"item", item_}}, out);
  return caf::unit;
}

void responses_answer::close(std::string& out) {
  switch (std::exchange(open_, kind::none)) {
  case kind::none:
    return;
  case kind::reasoning:
    close_reasoning(out);
    break;
  case kind::message:
    close_message(out);
    break;
  case kind::tool:
    close_tool(out);
    break;
  }
  text_.clear();
  item_["status"] = "completed";
  event("response.output_item.done", {{"output_index", response_["output"].size()}, {"item", item_}}, out);
  response_["output"].push_back(std::exchange(item_, {}));
}

result<void> responses_answer::text_delta(kind which, std::string text, std::string& out) {
  auto reasoning = which == kind::reasoning;
  if (open_ != which) {
    json item{{"type", "reasoning"}, {"id", item_id("rs_")}, {"summary", json::array()}};
    if (!reasoning)
      item = {
          {"type", "message"}, {"id", item_id("msg_")}, {"role", "assistant"}, {"content", json::array()}};
    if (auto opened = open(which, std::move(item), out); !opened)
      return opened;
    auto added = place();
    added[reasoning ? "summary_index" : "content_index"] = 0;
    added["part"] = reasoning ? summary_text("") : output_text("");
    event(reasoning ? "response.reasoning_summary_part.added" : "response.content_part.added",
          std::move(added), out);
  }
  text_ += text;
  auto delta = place();
  delta[reasoning ? "summary_index" : "content_index"] = 0;
  delta["delta"] = std::move(text);
  if (!reasoning)
    delta["logprobs"] = json::array();
  event(reasoning ? "response.reasoning_summary_text.delta" : "response.output_text.delta", std::move(delta),
        out);
  return caf::unit;
}

void responses_answer::close_reasoning(std::string& out) {
  auto done = place();
  done["summary_index"] = 0;
  auto part = done;
  done["text"] = text_;
  event("response.reasoning_summary_text.done", std::move(done), out);
  part["part"] = summary_text(std::move(text_));
  item_["summary"].push_back(part["part"]);
  event("response.reasoning_summary_part.done", std::move(part), out);
}

void responses_answer::close_message(std::string& out) {
  auto done = place();
  done["content_index"] = 0;
  auto part = done;
  done["text"] = text_;
  done["logprobs"] = json::array();
  event("response.output_text.done", std::move(done), out);
  part["part"] = output_text(std::move(text_));
  item_["content"].push_back(part["part"]);
  event("response.content_part.done", std::move(part), out);
}

result<void> responses_answer::add(const tool_piece& piece, std::string& out) {
  if (open_ != kind::tool || begins_call(piece, call_)) {
    if (piece.name.empty())
      return sandy::fail(errc::upstream_error, "The model went on with a call of a tool that had ended");
    close(out);
    tool_ = head_.tools.called(piece.name);
    call_ = {piece.index, piece.id};
    auto id = item_id(call_prefix(tool_.kind));
    auto item = call_item(tool_, id, piece.id.empty() ? "call_" + id : piece.id);
    if (auto opened = open(kind::tool, std::move(item), out); !opened)
      return opened;
  }
  text_ += piece.arguments;
  if (tool_.kind == tool_kind::function && !piece.arguments.empty()) {
    auto delta = place();
    delta["delta"] = piece.arguments;
    event("response.function_call_arguments.delta", std::move(delta), out);
  }
  return caf::unit;
}

void responses_answer::close_tool(std::string& out) {
  if (tool_.kind == tool_kind::function && text_.empty())
    text_ = "{}";
  fill_call(tool_.kind, text_, item_);
  auto done = place();
  if (tool_.kind == tool_kind::function) {
    done["name"] = tool_.name;
    done["arguments"] = text_;
    event("response.function_call_arguments.done", std::move(done), out);
  } else if (tool_.kind == tool_kind::custom) {
    auto delta = done; // its text was inside JSON until now
    delta["delta"] = done["input"] = item_.at("input");
    event("response.custom_tool_call_input.delta", std::move(delta), out);
    event("response.custom_tool_call_input.done", std::move(done), out);
  }
}

} // namespace sandy::http::gateway::wire
