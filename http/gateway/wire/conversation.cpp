#include "http/gateway/wire/conversation.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::gateway::wire {

using nlohmann::json;

namespace {

bool is_text(const json& part) { return part.at("type") == "text"; }

void join(std::string& text, std::string_view more) {
  if (!text.empty() && !more.empty())
    text += '\n';
  text += more;
}

} // namespace

json text_part(std::string_view text) { return {{"type", "text"}, {"text", text}}; }

json image_part(std::string_view url, std::string_view detail) {
  json image{{"url", url}};
  if (!detail.empty())
    image["detail"] = detail;
  return {{"type", "image_url"}, {"image_url", std::move(image)}};
}

void conversation::add_system(std::string text) { add({{"role", "system"}, {"content", std::move(text)}}); }

void conversation::add_user(json parts) {
  if (!std::ranges::all_of(parts, is_text))
    return add({{"role", "user"}, {"content", std::move(parts)}});
  std::string text;
  for (const auto& part : parts)
    join(text, part.at("text").get_ref<const std::string&>());
  add({{"role", "user"}, {"content", std::move(text)}});
}

void conversation::add_assistant(std::string_view text) {
  if (auto* open = open_assistant(); open != nullptr && open->contains("tool_calls")) {
    auto& content = (*open)["content"];
    std::string whole = content.is_string() ? content.get<std::string>() : "";
    join(whole, text);
    content = std::move(whole);
  } else {
    add({{"role", "assistant"}, {"content", text}});
  }
}

void conversation::add_tool_call(std::string id, std::string name, std::string arguments) {
  auto* message = open_assistant();
  if (message == nullptr) {
    add({{"role", "assistant"}, {"content", nullptr}});
    message = &messages_.back();
  }
  (*message)["tool_calls"].push_back(
      {{"id", std::move(id)},
       {"type", "function"},
       {"function", {{"name", std::move(name)}, {"arguments", std::move(arguments)}}}});
}

void conversation::add_tool_output(std::string id, const json& parts) {
  std::string text;
  std::size_t pictures = 0;
  for (const auto& part : parts) {
    if (is_text(part)) {
      join(text, part.at("text").get_ref<const std::string&>());
    } else {
      pictures_.push_back(part);
      ++pictures;
    }
  }
  if (pictures > 0)
    join(text, "(The next message shows what this tool returned besides: " + std::to_string(pictures) +
                   (pictures == 1 ? " picture.)" : " pictures.)"));
  messages_.push_back({{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(text)}});
}

json conversation::take() {
  add_pictures();
  return std::exchange(messages_, json::array());
}

void conversation::add(json message) {
  add_pictures();
  messages_.push_back(std::move(message));
}

void conversation::add_pictures() {
  if (!pictures_.empty())
    messages_.push_back({{"role", "user"}, {"content", std::exchange(pictures_, json::array())}});
}

json* conversation::open_assistant() {
  if (messages_.empty() || messages_.back().at("role") != "assistant")
    return nullptr;
  return &messages_.back();
}

} // namespace sandy::http::gateway::wire
