#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace sandy::agents {

/// One object of Claude's stream format.
struct agent_output {
  std::string json; ///< its text: one line, valid JSON and UTF-8
};

/// Plain text that the agent printed.
struct output {
  std::string text; ///< without the end of the line; any bytes, wire.hpp makes UTF-8 of them
};

/// What one line of an agent's output means.
using event = std::variant<agent_output, output>;

/// How an agent says that its work ended.
enum class terminal { none, success, failure };

/// What a run used, as far as the agent said. Counts of tokens.
struct usage {
  std::uint64_t input = 0;
  std::uint64_t output = 0;
  std::uint64_t cache_read = 0;  ///< of the input, read from the provider's cache
  std::uint64_t cache_write = 0; ///< of the input, written to it
  std::optional<double> cost_usd;

  bool operator==(const usage&) const = default;
};

} // namespace sandy::agents
