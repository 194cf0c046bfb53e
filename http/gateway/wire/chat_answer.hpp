#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sandy::http::gateway::wire {

/// Tokens, as the model counted them; all 0 where it did not say.
struct token_usage {
  std::uint64_t input = 0;  ///< those from a cache included
  std::uint64_t cached = 0; ///< of the input
  std::uint64_t output = 0; ///< reasoning included
  std::uint64_t reasoning = 0;
};

/// Part of a call of a tool, or all of it.
struct tool_piece {
  std::size_t index = 0; ///< which call of this answer
  std::string id{};      ///< once per call
  std::string name{};    ///< once per call
  std::string arguments{};
};

/// What one chunk of a stream, or a whole answer, adds.
struct chat_piece {
  std::string reasoning{};
  std::string text{};
  std::vector<tool_piece> tools{};
  std::string finish{};        ///< why the model stopped, once it did
  std::string stop_sequence{}; ///< where the model says that one made it stop
  std::optional<token_usage> usage{};
};

/// Whether the piece belongs to another call than the last one. Some models number all their calls 0, and
/// some repeat id and name with every piece.
bool begins_call(const tool_piece& piece, const tool_piece& last);

/// Most calls of tools in one answer.
inline constexpr std::size_t tool_calls_max = 256;

/// Reads a chunk (`choices[0].delta`). Models are trusted with nothing: fields of a wrong type read as
/// absent. One without `choices` adds nothing: streams have events of other kinds, too. Fails with
/// upstream_error for what is no object and for an error.
result<chat_piece> read_chat_piece(const nlohmann::json& chunk);

/// Reads a whole answer (`choices[0].message`). Fails as `read_chat_piece`, and without `choices`.
result<chat_piece> read_chat_answer(const nlohmann::json& completion);

} // namespace sandy::http::gateway::wire
