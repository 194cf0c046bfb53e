#pragma once

#include "http/exchange.hpp"
#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace sandy::http::terminal {

/// What the query of a terminal asks for.
struct request {
  std::optional<std::uint32_t> process_id; ///< attach to this one; none: start `spec`
  process_spec spec;                       ///< with its terminal
  std::optional<terminal_size> size;       ///< as asked for
  std::optional<std::uint64_t> offset;     ///< of the first byte wanted; none: the oldest that is kept
  bool read_only = false;
};

/// Reads `id`, `command`, `cwd`, `cols`, `rows`, `offset` and `readonly`. Fails with invalid_argument, with
/// process_not_found for an `id` that none can have.
result<request> read_request(const exchange& ex);

/// More characters than any screen shows.
inline constexpr std::uint16_t largest_side = 4096;

/// What a viewer says in a text message.
struct input {
  std::string data;
};
using control = std::variant<terminal_size, input>;

/// {"type": "resize", "cols", "rows"} or {"type": "input", "data"}. Fails with a sentence for what is
/// neither.
result<control> parse_control(std::string_view text);

} // namespace sandy::http::terminal
