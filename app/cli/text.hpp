#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sandy::cli {

/// The word so that a shell reads it as exactly these bytes.
std::string shell_quoted(std::string_view word);

/// For a query's value: everything but letters, digits and "-._~/" as %XX.
std::string percent_encoded(std::string_view text);

/// RFC 4648, section 4, padded. None for anything else.
std::optional<std::string> base64_decoded(std::string_view text);

} // namespace sandy::cli
