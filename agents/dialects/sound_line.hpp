#pragma once

#include "agents/json_text.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sandy::agents {

/// A line of output that is a JSON object.
struct sound_line {
  std::string
      text; ///< the object as it was printed, mended where it had to be: one line, valid JSON and UTF-8
  json object;
};

/// Reads a line. Nothing: it is text.
std::optional<sound_line> read_object(std::string_view line);

/// Whether the line has nothing but white space.
bool is_blank(std::string_view line);

} // namespace sandy::agents
