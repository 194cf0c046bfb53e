#pragma once

#include "app/config.hpp"

namespace sandy {

/// From now on lines go to standard error, one per event: {"ts":...,"level":...,"event":...,...}, or the same
/// as text. What other code gives to spdlog directly becomes {"event":"message","msg":...}. Call it once,
/// before threads start.
void start_logging(log_level level, log_format format);

/// One line, with its end: what `start_logging` writes for a payload. @param payload a JSON object, or any
/// text.
/// @param time milliseconds since the Unix epoch. @param level "info", ...
std::string format_line(log_format format, std::int64_t time, std::string_view level,
                        std::string_view payload);

} // namespace sandy
