#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace sandy::http::gateway::wire {

/// A part of a message in chat completions.
nlohmann::json text_part(std::string_view text);
/// @param url of the image, or a data URL. @param detail "low", "high", "auto" or empty.
nlohmann::json image_part(std::string_view url, std::string_view detail = {});

/// Puts messages together as chat completions wants them: what an assistant says and the tools it calls are
/// one message, what the tools return follows it at once, and pictures, which a tool's message cannot hold,
/// come from the user after it.
class conversation {
public:
  void add_system(std::string text);
  /// @param parts a list; texts alone become one text, which every model reads.
  void add_user(nlohmann::json parts);
  void add_assistant(std::string_view text);
  /// @param arguments JSON as text.
  void add_tool_call(std::string id, std::string name, std::string arguments);
  /// @param parts what the tool returned.
  void add_tool_output(std::string id, const nlohmann::json& parts);

  /// The list of messages.
  nlohmann::json take();

private:
  void add(nlohmann::json message);
  void add_pictures();
  nlohmann::json* open_assistant();

  nlohmann::json messages_ = nlohmann::json::array();
  nlohmann::json pictures_ = nlohmann::json::array(); ///< returned by tools, not yet in a message
};

} // namespace sandy::http::gateway::wire
