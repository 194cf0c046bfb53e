#include "http/gateway/chat_request.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/members.hpp"
#include "http/codec/utf8.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace sandy::http::gateway {

using nlohmann::json;

namespace {

/// Of the text of one file. What models take at a time is not much more.
constexpr std::size_t most_file_text = 100'000;

constexpr std::array<std::string_view, 6> roles{"system", "user",      "assistant",
                                                "tool",   "developer", "function"};

/// Collects what is wrong with a request, and notes whether it is forwarded otherwise than it came.
class problems_of {
public:
  problems_of(json& list, bool& changed)
      : list_(list)
      , changed_(changed) {
    list_ = json::array();
  }
  void changed() { changed_ = true; }
  void add(json where, std::string_view what, std::string_view type) {
    where.insert(where.begin(), "body");
    list_.push_back({{"type", type}, {"loc", std::move(where)}, {"msg", what}});
  }
  bool any() const { return !list_.empty(); }

private:
  json& list_;
  bool& changed_;
};

void drop_nulls(json& object, problems_of& problems) {
  for (auto it = object.begin(); it != object.end();) {
    if (!it->is_null()) {
      ++it;
      continue;
    }
    it = object.erase(it);
    problems.changed();
  }
}

/// The first so many characters of UTF-8 text.
std::string_view first_characters(std::string_view text, std::size_t most) {
  for (std::size_t at = 0, count = 0; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && count++ == most)
      return text.substr(0, at);
  return text;
}

/// What a model can read of a file's content, which may be a data URL.
std::string readable(const std::string& content) {
  constexpr std::string_view mark = ";base64,";
  auto at = content.starts_with("data:") ? content.find(mark) : std::string::npos;
  if (at == std::string::npos || at > 200)
    return content;
  auto bytes = codec::base64_decode(std::string_view{content}.substr(at + mark.size()));
  if (!bytes || !codec::is_utf8(*bytes))
    return "[This file is no text.]";
  return std::move(*bytes);
}

/// A file becomes text: models take no files, only text and images.
void make_text(json& part) {
  const auto& file = part["file"];
  auto text_of = [&](const char* name) {
    auto found = file.find(name);
    return found != file.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  auto name = text_of("name");
  if (name.empty())
    name = "unnamed";
  auto mime = text_of("mime_type");
  auto content = readable(text_of("content"));
  std::string text = "--- File: " + name + (mime.empty() ? "" : " (" + mime + ")") + " ---\n";
  text.append(first_characters(content, most_file_text));
  text.append("\n--- End of file: " + name + " ---");
  part = {{"type", "text"}, {"text", std::move(text)}};
}

/// A URL, or an object that has one.
bool names_image(const json& part) {
  auto image = part.find("image_url");
  if (image == part.end() || !image->is_object())
    return image != part.end() && image->is_string();
  auto url = image->find("url");
  return url != image->end() && url->is_string();
}

void read_part(json& part, const json& where, problems_of& problems) {
  if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
    problems.add(where, "Input should be a part with a type", "dict_type");
    return;
  }
  drop_nulls(part, problems);
  const auto& type = part["type"].get_ref<const std::string&>();
  auto is = [&](const char* name, json::value_t wanted) {
    return part.contains(name) && part[name].type() == wanted;
  };
  if (type == "text" && !is("text", json::value_t::string))
    problems.add(where, "Field required: text", "missing");
  else if (type == "image_url" && !names_image(part))
    problems.add(where, "Field required: image_url, a string or an object with a url", "missing");
  else if (type == "file" && !is("file", json::value_t::object))
    problems.add(where, "Field required: file", "missing");
  else if (type == "file" &&
           part["file"].contains("content")) { // else it is one that the model knows by its id
    make_text(part);
    problems.changed();
  }
}

void read_message(json& message, const json& where, problems_of& problems) {
  if (!message.is_object()) {
    problems.add(where, "Input should be a valid dictionary", "dict_type");
    return;
  }
  drop_nulls(message, problems);
  auto at = [&](auto... path) {
    auto full = where;
    (full.push_back(path), ...);
    return full;
  };
  auto role = message.find("role");
  if (role == message.end())
    problems.add(at("role"), "Field required", "missing");
  else if (!role->is_string() || std::ranges::find(roles, role->get_ref<const std::string&>()) == roles.end())
    problems.add(at("role"), "Input should be 'system', 'user', 'assistant' or 'tool'", "literal_error");
  auto content = message.find("content");
  if (content == message.end() || content->is_string())
    return;
  if (!content->is_array()) {
    problems.add(at("content"), "Input should be a string or a list of parts", "string_type");
    return;
  }
  for (std::size_t i = 0; i < content->size(); ++i)
    read_part((*content)[i], at("content", i), problems);
}

void read_messages(json& body, problems_of& problems) {
  auto messages = body.find("messages");
  if (messages == body.end()) {
    problems.add({"messages"}, "Field required", "missing");
    return;
  }
  if (!messages->is_array()) {
    problems.add({"messages"}, "Input should be a valid list", "list_type");
    return;
  }
  if (messages->empty())
    problems.add({"messages"}, "List should have at least 1 item after validation, not 0", "too_short");
  for (std::size_t i = 0; i < messages->size(); ++i)
    read_message((*messages)[i], {"messages", i}, problems);
}

/// A number within bounds; a numeric string becomes one.
void read_number(json& body, const char* name, double low, std::optional<double> high, bool whole,
                 problems_of& problems) {
  auto found = body.find(name);
  if (found == body.end())
    return;
  auto value = found->is_boolean() ? std::nullopt : codec::loose_number(*found);
  if (!value || (whole && *value != std::floor(*value))) {
    problems.add({name}, whole ? "Input should be a valid integer" : "Input should be a valid number",
                 whole ? "int_type" : "float_type");
    return;
  }
  if (*value < low)
    problems.add({name}, "Input should be greater than or equal to " + std::to_string(static_cast<int>(low)),
                 "greater_than_equal");
  else if (high && *value > *high)
    problems.add({name}, "Input should be less than or equal to " + std::to_string(static_cast<int>(*high)),
                 "less_than_equal");
  else if (found->is_string()) {
    *found = whole ? json(static_cast<std::int64_t>(*value)) : json(*value);
    problems.changed();
  }
}

bool read_switch(json& body, const char* name, problems_of& problems) {
  auto found = body.find(name);
  if (found == body.end())
    return false;
  if (found->is_string())
    if (auto truth = codec::loose_boolean(found->get_ref<const std::string&>())) {
      *found = *truth;
      problems.changed();
    }
  if (!found->is_boolean()) {
    problems.add({name}, "Input should be a valid boolean", "bool_type");
    return false;
  }
  return found->get<bool>();
}

void read_objects(const json& body, problems_of& problems) {
  for (const auto* name : {"stream_options", "response_format", "metadata", "generation_flags"})
    if (auto found = body.find(name); found != body.end() && !found->is_object())
      problems.add({name}, "Input should be a valid dictionary", "dict_type");
  if (auto tools = body.find("tools"); tools != body.end() && !tools->is_array())
    problems.add({"tools"}, "Input should be a valid list", "list_type");
}

std::string read_text(json& body, const char* name, problems_of& problems) {
  auto found = body.find(name);
  if (found == body.end())
    return {};
  if (found->is_string())
    return found->get<std::string>();
  problems.add({name}, "Input should be a valid string", "string_type");
  return {};
}

result<chat_request> understand(json body, json& problems, bool& changed) {
  chat_request made;
  problems_of wrong{problems, changed};
  drop_nulls(body, wrong);
  made.model = read_text(body, "model", wrong);
  if (!body.contains("model"))
    wrong.add({"model"}, "Field required", "missing");
  read_messages(body, wrong);
  read_number(body, "temperature", 0, 2, false, wrong);
  read_number(body, "top_p", 0, 1, false, wrong);
  read_number(body, "max_tokens", 1, std::nullopt, true, wrong);
  made.stream = read_switch(body, "stream", wrong);
  made.debug = read_switch(body, "debug", wrong);
  read_objects(body, wrong);
  for (const auto* name : {"competitor_id", "competitorId"}) {
    if (auto text = read_text(body, name, wrong); made.competitor.empty())
      made.competitor = std::move(text);
    if (body.erase(name) > 0)
      wrong.changed();
  }
  if (wrong.any())
    return fail(errc::validation_failed, "The chat has mistakes");
  made.body = std::move(body);
  return made;
}

/// Of members with the same name the last one counts here, and perhaps the first one elsewhere.
bool has_duplicates(std::string_view object, std::size_t members) {
  std::size_t written = 0;
  codec::each_member(object, [&](auto, auto) { ++written; });
  return written != members;
}

} // namespace

result<chat_request> understand_chat(json body, json& problems) {
  auto changed = false;
  return understand(std::move(body), problems, changed);
}

result<chat_request> read_chat(std::string text, json& problems) {
  auto body = codec::parse_object(text);
  if (!body)
    return std::move(body.error());
  auto changed =
      text.find('\0') != text.npos || has_duplicates(text, body->size()); // the parser ends at a zero byte
  auto made = understand(std::move(*body), problems, changed);
  if (made && !changed)
    made->text = std::move(text);
  return made;
}

} // namespace sandy::http::gateway
