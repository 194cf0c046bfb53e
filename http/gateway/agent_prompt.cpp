#include "http/gateway/agent_prompt.hpp"

#include <nlohmann/json.hpp>

#include <string_view>
#include <vector>

namespace sandy::http::gateway {

using nlohmann::json;

namespace {

constexpr std::string_view own_words = "You work in a sandbox of your own, on behalf of somebody who reads "
                                       "your last message only. Files that they are "
                                       "to get belong into /workspace/artifacts.";

/// What is to be read in the content of a message: a text, or parts of which some are texts.
std::string text_of_content(const json& message) {
  auto content = message.find("content");
  if (content == message.end())
    return {};
  if (content->is_string())
    return content->get<std::string>();
  std::string all;
  if (!content->is_array())
    return all;
  for (const auto& part : *content) {
    std::string text;
    if (part.is_object() && part.value("type", "") == "text")
      text = part.value("text", "");
    else if (part.is_object() && part.value("type", "") == "image_url" && part.contains("image_url")) {
      const auto& image = part["image_url"];
      auto url = image.is_object()   ? image.value("url", "")
                 : image.is_string() ? image.get<std::string>()
                                     : "";
      text = url.starts_with("data:") ? "(an image that you cannot see)" : "Image: " + url;
    }
    if (!text.empty())
      all.append(all.empty() ? "" : "\n").append(text);
  }
  return all;
}

void append_paragraph(std::string& to, std::string_view text) {
  if (!text.empty())
    to.append(to.empty() ? "" : "\n\n").append(text);
}

} // namespace

agent_prompt prompt_of(const json& messages) {
  agent_prompt made;
  std::vector<std::pair<std::string, std::string>> said;
  for (const auto& message : messages) {
    auto role = message.value("role", "");
    auto text = text_of_content(message);
    if (text.empty())
      continue;
    if (role == "system" || role == "developer")
      append_paragraph(made.system, text);
    else
      said.emplace_back(role == "assistant" ? "Assistant"
                        : role == "tool"    ? "Tool"
                                            : "User",
                        std::move(text));
  }
  append_paragraph(made.system, own_words);
  if (said.size() > 1) {
    made.text = "The conversation so far:";
    for (std::size_t i = 0; i + 1 < said.size(); ++i)
      append_paragraph(made.text, said[i].first + ": " + said[i].second);
    append_paragraph(made.text, "Now answer this:");
  }
  if (!said.empty())
    append_paragraph(made.text, said.back().second);
  return made;
}

} // namespace sandy::http::gateway
