#include "http/gateway/agent_steps.hpp"

#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::gateway {

using nlohmann::json;

namespace {

/// Of what a tool was given or gave: people look at the begin of it.
constexpr std::size_t most_shown = 2'000;

const json& at(const json& object, const char* name) {
  static const json nothing;
  auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : nothing;
}

std::string text_at(const json& object, const char* name) {
  const auto& value = at(object, name);
  return value.is_string() ? value.get<std::string>() : std::string{};
}

std::uint64_t count_at(const json& object, const char* name) {
  const auto& value = at(object, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::string cut(std::string text) {
  if (text.size() > most_shown)
    text.resize(codec::utf8_prefix(std::string_view{text}.substr(0, most_shown)));
  return text;
}

json reasoning(std::string text) { return {{"reasoning_content", std::move(text)}}; }

json janus(const char* event, json payload) {
  return {{"janus", {{"event", event}, {"payload", std::move(payload)}}}};
}

/// What a tool is about to do, in a line.
std::string line_of(const std::string& tool, const json& input) {
  for (const auto* name : {"command", "file_path", "path", "pattern", "query", "url"})
    if (auto what = text_at(input, name); !what.empty())
      return tool + ": " + what;
  return tool;
}

std::string text_of_result(const json& content) {
  if (content.is_string())
    return content.get<std::string>();
  std::string all;
  if (content.is_array())
    for (const auto& part : content)
      all += text_at(part, "text");
  return all;
}

} // namespace

std::vector<json> agent_steps::feed(std::string_view events) {
  std::vector<json> out;
  while (!events.empty()) {
    auto end = events.find('\n');
    auto line = events.substr(0, end);
    events.remove_prefix(end == std::string_view::npos ? events.size() : end + 1);
    if (!line.starts_with("data: "))
      continue;
    auto event = json::parse(line.substr(6), nullptr, false);
    if (event.is_object())
      take(event, out);
  }
  return out;
}

void agent_steps::take(const json& event, std::vector<json>& out) {
  auto type = text_at(event, "type");
  if (type == "status")
    out.push_back(reasoning(text_at(event, "message") + "\n"));
  else if (type == "output") {
    said_ = text_at(event, "text");
    out.push_back(reasoning(said_ + "\n"));
  } else if (type == "agent-output")
    take_output(at(event, "data"), out);
  else if (type == "error")
    error_ = text_at(event, "error");
  else if (type == "complete") {
    complete_ = true;
    succeeded_ = at(event, "success") == true;
    if (!succeeded_ && error_.empty() && at(event, "exitCode").is_number_integer())
      error_ = "The agent ended with exit code " + at(event, "exitCode").dump();
  }
}

void agent_steps::take_output(const json& data, std::vector<json>& out) {
  auto type = text_at(data, "type");
  if (type == "stream_event") {
    auto text = text_at(at(at(data, "event"), "delta"), "text");
    if (text.empty())
      return;
    streamed_ = true;
    out.push_back(reasoning(std::move(text)));
  } else if (type == "assistant" || type == "user")
    take_blocks(at(at(data, "message"), "content"), out);
  else if (type == "result") {
    result_ = text_at(data, "result");
    input_tokens_ = count_at(at(data, "usage"), "input_tokens");
    output_tokens_ = count_at(at(data, "usage"), "output_tokens");
  } else if (type == "error")
    error_ = text_at(data, "message");
}

void agent_steps::take_blocks(const json& content, std::vector<json>& out) {
  if (!content.is_array())
    return;
  for (const auto& block : content) {
    auto type = text_at(block, "type");
    if (type == "text") {
      said_ = text_at(block, "text");
      out.push_back(reasoning(std::exchange(streamed_, false) ? std::string{"\n"} : said_ + "\n"));
    } else if (type == "thinking")
      out.push_back(reasoning(text_at(block, "thinking") + "\n"));
    else if (type == "tool_use") {
      auto name = text_at(block, "name");
      auto line = cut(line_of(name, at(block, "input")));
      auto delta = janus("tool_start", {{"id", text_at(block, "id")}, {"name", name}, {"text", line}});
      delta["reasoning_content"] = line + "\n";
      out.push_back(std::move(delta));
    } else if (type == "tool_result")
      out.push_back(janus("tool_end", {{"id", text_at(block, "tool_use_id")},
                                       {"is_error", at(block, "is_error") == true},
                                       {"text", cut(text_of_result(at(block, "content")))}}));
  }
}

std::string agent_steps::answer() const {
  if (succeeded_)
    return result_.empty() ? said_ : result_;
  auto why = error_.empty() ? std::string{"it did not say why"} : error_;
  return (result_.empty() ? std::string{} : result_ + "\n\n") + "The agent failed: " + why;
}

void keep_reasoning(std::string& kept, std::string_view more) {
  auto room = most_reasoning - std::min(kept.size(), most_reasoning);
  if (more.size() > room)
    more = more.substr(0, codec::utf8_prefix(more.substr(0, room)));
  kept.append(more);
}

} // namespace sandy::http::gateway
