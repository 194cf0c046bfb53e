#pragma once

#include "messages/error.hpp"

#include <cstddef>
#include <functional>
#include <string>

namespace sandy {

/// Bytes from the kernel's random source, in lower-case hex digits. Fails with internal.
result<std::string> random_hex(std::size_t bytes);

/// A secret of one line that is made once and kept in a file, readable by its owner only, and the same ever
/// after. Call it while holding the store, so that only one server makes it. Blocking. @param make its text,
/// when there is none yet.
/// @param accept whether the text of the file, without white space at its end, can be used.
/// @param kind what it is, for people: "key". Fails with internal (what could not be read or written, and
/// why) or invalid_argument (the file holds something else).
result<std::string> kept_secret(const std::string& path, std::string_view kind,
                                const std::function<result<std::string>()>& make,
                                const std::function<bool(const std::string&)>& accept);

} // namespace sandy
