#pragma once

#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace sandy {

// How people write quantities in configuration. Parsers fail with invalid_argument and half a sentence that
// says what would be right ("is not a size such as 512Mi or 4Gi"); printers write what the parsers read.

/// "1048576", "512Ki", "4Gi", "1.5G": Ki, Mi, Gi, Ti are powers of 1024, K, M, G, T of 1000; a final B is
/// allowed.
result<std::uint64_t> parse_size(std::string_view text);
std::string print_size(std::uint64_t bytes);

/// "500ms", "30s", "10m", "3h", "1h30m", "2d"; a number alone is seconds.
result<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string print_duration(std::chrono::milliseconds duration);

/// Cores: "2", "0.5", or thousandths: "500m". @returns thousandths of a core.
result<std::uint32_t> parse_cores(std::string_view text);
std::string print_cores(std::uint32_t millis);

/// A number without sign or unit.
result<std::uint32_t> parse_count(std::string_view text);

} // namespace sandy
