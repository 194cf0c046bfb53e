#include "agents/dialects/translator.hpp"

#include "agents/dialects/sound_line.hpp"
#include "agents/dialects/tools.hpp"

#include <utility>

namespace sandy::agents {

namespace {

/// Most bytes of parts that are kept until they are said as a whole.
constexpr std::size_t most_collected = 256 * 1024;

} // namespace

void translator::read(std::string_view line, std::vector<event>& into) {
  if (is_blank(line))
    return;
  into_ = &into;
  auto said = read_object(line);
  if (!said) {
    if (!hear(line))
      into.push_back(output{std::string(line)});
    into_ = nullptr;
    return;
  }
  raw_ = said->text.size() <= longest_raw ? std::string_view(said->text) : std::string_view();
  if (!translate(said->object)) {
    if (raw_.empty())
      into.push_back(output{std::string(line)});
    else
      emit({{"type", "system"}, {"subtype", "event"}});
  }
  raw_ = {};
  into_ = nullptr;
}

bool translator::hear(std::string_view) { return false; }

void translator::finish(std::vector<event>& into) {
  into_ = &into;
  say_collected();
  if (std::exchange(failure_unsaid_, false))
    emit_result(true, failure_);
  into_ = nullptr;
}

void translator::emit(json made) {
  if (!session_id_.empty())
    made["session_id"] = session_id_;
  auto text = to_line(made);
  // The line is valid JSON as it stands: it goes in unread, with its order of keys and its numbers.
  if (auto raw = std::exchange(raw_, {}); !raw.empty())
    text.replace(text.size() - 1, 1, ",\"raw\":").append(raw).append("}");
  into_->push_back(agent_output{std::move(text)});
}

void translator::emit_message(std::string_view role, json block) {
  json message{{"role", role}, {"content", json::array({std::move(block)})}};
  emit({{"type", role}, {"message", std::move(message)}});
}

void translator::emit_part(json delta) {
  json inner{{"type", "content_block_delta"}, {"index", 0}, {"delta", std::move(delta)}};
  emit({{"type", "stream_event"}, {"event", std::move(inner)}});
}

void translator::emit_result(bool failed, const std::string& text) {
  json made{{"type", "result"},
            {"subtype", failed ? "error_during_execution" : "success"},
            {"is_error", failed},
            {"result", text},
            {"usage",
             {{"input_tokens", used_.input},
              {"output_tokens", used_.output},
              {"cache_read_input_tokens", used_.cache_read},
              {"cache_creation_input_tokens", used_.cache_write}}}};
  if (used_.cost_usd)
    made["total_cost_usd"] = *used_.cost_usd;
  emit(std::move(made));
}

void translator::begin(const std::string& session_id, const std::string& model) {
  if (!session_id.empty())
    session_id_ = session_id;
  if (std::exchange(begun_, true))
    return;
  json made{{"type", "system"}, {"subtype", "init"}};
  if (!model.empty())
    made["model"] = model;
  emit(std::move(made));
}

void translator::say(const std::string& text) {
  if (text.empty())
    return;
  last_text_ = text;
  emit_message("assistant", {{"type", "text"}, {"text", text}});
}

void translator::think(const std::string& text) {
  if (!text.empty())
    emit_message("assistant", {{"type", "thinking"}, {"thinking", text}});
}

void translator::say_part(const std::string& text) {
  if (!text.empty())
    emit_part({{"type", "text_delta"}, {"text", text}});
}

void translator::think_part(const std::string& text) {
  if (!text.empty())
    emit_part({{"type", "thinking_delta"}, {"thinking", text}});
}

void translator::collect(const std::string& text) {
  say_part(text);
  collected_ += text;
  if (collected_.size() > most_collected)
    say_collected();
}

void translator::say_collected() { say(std::exchange(collected_, {})); }

void translator::use_tool(const std::string& id, const std::string& name, const json& input) {
  auto [called, given] = as_claude_tool(name, input);
  emit_message("assistant",
               {{"type", "tool_use"}, {"id", id}, {"name", called}, {"input", std::move(given)}});
}

void translator::tool_done(const std::string& id, const json& content, bool failed) {
  emit_message(
      "user",
      {{"type", "tool_result"}, {"tool_use_id", id}, {"content", shown(content)}, {"is_error", failed}});
}

void translator::complain(const std::string& text) { emit({{"type", "error"}, {"message", text}}); }

void translator::note(std::string_view subtype, const std::string& text) {
  emit({{"type", "system"}, {"subtype", subtype}, {"message", text}});
}

void translator::go_on() {
  ending_ = terminal::none;
  failure_.clear();
  failure_unsaid_ = false;
}

void translator::succeed() { succeed(last_text_); }

void translator::succeed(const std::string& answer) {
  go_on();
  ending_ = terminal::success;
  answer_ = answer;
  emit_result(false, answer);
}

void translator::fail_with(const std::string& why) {
  ending_ = terminal::failure;
  failure_ = why.empty() ? "the agent reported a failure" : why;
  failure_unsaid_ = true;
}

} // namespace sandy::agents
