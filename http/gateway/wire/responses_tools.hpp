#pragma once

#include "http/gateway/wire/field.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::gateway::wire {

/// How a tool of the Responses API is called.
enum class tool_kind {
  function,    ///< with JSON
  custom,      ///< with any text
  local_shell, ///< with a command, which the client runs
};

/// What stands behind the name of a function in chat completions.
struct responses_tool {
  tool_kind kind = tool_kind::function;
  std::string name;
  std::string space{}; ///< of a tool in a namespace
};

/// The tools that a request offers, under the names that chat completions know them by. Tools that OpenAI's
/// servers run are left out.
class responses_tools {
public:
  void read(const field& tools);

  /// The name in chat completions of a tool that was called earlier, whether or not it is offered still.
  static std::string chat_name(std::string_view space, std::string_view name);
  /// What the model called; a function of that name if it was not offered.
  responses_tool called(const std::string& chat_name) const;

  /// The tools as chat completions have them.
  nlohmann::json take_offers() { return std::move(offers_); }
  /// Keeps of the offers those that the tool_choice allows.
  void keep(const std::vector<std::string>& chat_names);

private:
  void read_one(const field& tool, const std::string& space);
  void offer(nlohmann::json tool, responses_tool known);

  std::map<std::string, responses_tool> known_;
  nlohmann::json offers_ = nlohmann::json::array();
};

} // namespace sandy::http::gateway::wire
