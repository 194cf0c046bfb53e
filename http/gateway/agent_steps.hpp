#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::gateway {

/// Makes of an agent's events what a chat shows of its work: deltas with `reasoning_content` or a `janus`
/// event, and in the end its answer. Knows what the events of `agent/run` say; see agents/wire.hpp.
class agent_steps {
public:
  /// Takes whole events, each a line `data: {...}` and an empty one. @returns the deltas that they make
  std::vector<nlohmann::json> feed(std::string_view events);

  bool complete() const noexcept { return complete_; }   ///< the run is over
  bool succeeded() const noexcept { return succeeded_; } ///< and went well
  /// What it answered; of one that failed why.
  std::string answer() const;
  std::uint64_t input_tokens() const noexcept { return input_tokens_; } ///< 0: the agent did not say
  std::uint64_t output_tokens() const noexcept { return output_tokens_; }

private:
  void take(const nlohmann::json& event, std::vector<nlohmann::json>& out);
  void take_output(const nlohmann::json& data, std::vector<nlohmann::json>& out);
  void take_blocks(const nlohmann::json& content, std::vector<nlohmann::json>& out);

  std::string result_; ///< the agent's own last word
  std::string said_;   ///< its last text
  std::string error_;
  bool streamed_ = false; ///< parts of the text that comes next were shown already
  bool complete_ = false;
  bool succeeded_ = false;
  std::uint64_t input_tokens_ = 0;
  std::uint64_t output_tokens_ = 0;
};

/// Adds to what is kept of an agent's reasoning, whole characters up to `most_reasoning` in all: agents print
/// as much as they like.
void keep_reasoning(std::string& kept, std::string_view more);
inline constexpr std::size_t most_reasoning = 1 << 20;

} // namespace sandy::http::gateway
