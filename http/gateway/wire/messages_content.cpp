#include "http/gateway/wire/messages_content.hpp"

#include <string_view>
#include <utility>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

void read_parts(const field& content, json& parts, std::set<std::string>& referenced);

void read_image(const field& image, json& parts) {
  auto source = image.at("source");
  if (!source.object())
    return source.refuse("is required");
  auto type_field = source.at("type");
  const auto& type = type_field.text();
  if (type == "base64")
    parts.push_back(
        image_part("data:" + source.at("media_type").text() + ";base64," + source.at("data").text()));
  else if (type == "url")
    parts.push_back(image_part(source.at("url").text()));
  else
    type_field.refuse("must be \"base64\" or \"url\": files of another service cannot be read here");
}

/// A document's text. One that is no text is named, so that the model knows that something is missing: to
/// refuse it would end a conversation that has it anywhere in its past.
void read_document(const field& document, json& parts, std::set<std::string>& referenced) {
  auto source = document.at("source");
  if (!source.object())
    return source.refuse("is required");
  const auto& title = document.at("title").text_or_empty();
  auto name = title.empty() ? std::string{"Document"} : "Document \"" + title + '"';
  auto type_field = source.at("type");
  const auto& type = type_field.text();
  if (type == "text") {
    parts.push_back(text_part(name + ":\n" + source.at("data").text()));
  } else if (type == "content") {
    parts.push_back(text_part(name + ":"));
    read_parts(source.at("content"), parts, referenced);
  } else {
    parts.push_back(text_part("(" + name + " was left out: it is no text.)"));
  }
}

/// A block that is words or a picture; a mistake if it is neither.
void read_part(const field& block, json& parts, std::set<std::string>& referenced) {
  auto type_field = block.at("type");
  const auto& type = type_field.text();
  if (type == "text") {
    parts.push_back(text_part(block.at("text").text()));
  } else if (type == "image") {
    read_image(block, parts);
  } else if (type == "document") {
    read_document(block, parts, referenced);
  } else if (type == "search_result") {
    parts.push_back(
        text_part(block.at("title").text_or_empty() + " (" + block.at("source").text_or_empty() + "):"));
    read_parts(block.at("content"), parts, referenced);
  } else if (type == "tool_reference") {
    auto name = block.at("tool_name").text();
    parts.push_back(text_part("The tool " + name + " can be called now."));
    referenced.insert(std::move(name));
  } else {
    type_field.refuse("\"" + type + "\" is not understood here");
  }
}

void read_parts(const field& content, json& parts, std::set<std::string>& referenced) {
  if (content.is_text())
    parts.push_back(text_part(content.text()));
  else
    content.each([&](field block) { read_part(block, parts, referenced); });
}

void read_tool_result(const field& block, conversation& into, std::set<std::string>& referenced) {
  auto parts = json::array();
  if (block.at("is_error").boolean().value_or(false))
    parts.push_back(text_part("The tool failed:"));
  read_parts(block.at("content"), parts, referenced);
  into.add_tool_output(block.at("tool_use_id").text(), parts);
}

bool is_result(const field& block) {
  return block.is_object() && block.at("type").is_text() && block.at("type").text() == "tool_result";
}

void require(const field& content) {
  if (!content.present())
    content.refuse("is required");
}

} // namespace

std::vector<std::string> messages_texts(const field& content) {
  require(content);
  if (content.is_text())
    return {content.text()};
  std::vector<std::string> texts;
  content.each([&](field block) {
    if (auto type = block.at("type"); type.text() != "text")
      type.refuse("must be \"text\"");
    texts.push_back(block.at("text").text());
  });
  return texts;
}

void read_user_content(const field& content, conversation& into, std::set<std::string>& referenced) {
  require(content);
  auto parts = json::array();
  if (content.is_text()) {
    parts.push_back(text_part(content.text()));
  } else {
    // Results follow their calls at once; what the user says besides comes after them.
    content.each([&](field block) {
      if (is_result(block))
        read_tool_result(block, into, referenced);
      else
        read_part(block, parts, referenced);
    });
  }
  if (!parts.empty())
    into.add_user(std::move(parts));
}

void read_assistant_content(const field& content, conversation& into) {
  require(content);
  if (content.is_text())
    return into.add_assistant(content.text());
  std::string said;
  auto say = [&] {
    if (!said.empty())
      into.add_assistant(std::exchange(said, {}));
  };
  content.each([&](field block) {
    auto type_field = block.at("type");
    const auto& type = type_field.text();
    if (type == "text") {
      said += block.at("text").text();
    } else if (type == "tool_use") {
      say();
      auto input = block.at("input");
      auto arguments = input.object() ? input.value() : json::object();
      into.add_tool_call(block.at("id").text(), block.at("name").text(),
                         arguments.dump(-1, ' ', false, json::error_handler_t::replace));
    } else if (type != "thinking" && type != "redacted_thinking") {
      type_field.refuse("\"" + type + "\" is not understood here");
    }
  });
  say();
}

} // namespace sandy::http::gateway::wire
