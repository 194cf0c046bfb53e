#pragma once

#include "agents/json_text.hpp"
#include "agents/output_reader.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace sandy::agents {

/// What a real agent printed, kept in tests/agents/recorded/.
inline std::string recorded(const std::string& name) {
  std::ifstream file(SANDY_SOURCE_DIR "/tests/agents/recorded/" + name, std::ios::binary);
  if (!file)
    throw std::runtime_error("no recording " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline definition speaking(dialect_kind kind) {
  definition made;
  made.dialect = kind;
  return made;
}

/// An event as a short text: "text The work is done.", "tool Bash echo hi", "output ...".
inline std::string brief(const event& one) {
  if (const auto* plain = std::get_if<output>(&one))
    return "output " + plain->text;
  auto object = json::parse(std::get<agent_output>(one).json);
  auto type = text_at(object, "type");
  if (type == "stream_event")
    return "part " + text_at(at(at(object, "event"), "delta"), "text");
  if (type == "system") {
    auto message = text_at(object, "message");
    return text_at(object, "subtype") + (message.empty() ? "" : " " + message);
  }
  if (type == "result")
    return std::string(true_at(object, "is_error") ? "failed " : "result ") + text_at(object, "result");
  if (type == "error")
    return "error " + text_at(object, "message");
  const auto& content = at(at(object, "message"), "content");
  if (!content.is_array() || content.empty())
    return type;
  const auto& block = content[0];
  auto kind = text_at(block, "type");
  if (kind == "tool_use") {
    const auto& input = at(block, "input");
    return "tool " + text_at(block, "name") + " " + text_at(input, "command", text_at(input, "file_path"));
  }
  if (kind == "tool_result")
    return std::string(true_at(block, "is_error") ? "refused " : "done ") + shown(at(block, "content"));
  return kind + " " + text_at(block, kind);
}

/// Everything that one run's output means.
struct reading {
  explicit reading(dialect_kind kind)
      : reader(speaking(kind)) {}

  reading(dialect_kind kind, std::string_view text)
      : reading(kind) {
    take(reader.read(text));
    take(reader.finish());
  }

  void take(std::vector<event> more) {
    for (auto& one : more) {
      briefs.push_back(brief(one));
      events.push_back(std::move(one));
    }
  }

  /// The object of the event at `i`.
  json object(std::size_t i) const { return json::parse(std::get<agent_output>(events.at(i)).json); }

  const dialect& said() const { return reader.said(); }

  output_reader reader;
  std::vector<event> events;
  std::vector<std::string> briefs;
};

} // namespace sandy::agents
