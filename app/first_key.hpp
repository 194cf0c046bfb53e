#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy {

/// The key of a server that was given none: made at random at the first start, kept in `<data_dir>/api_key`,
/// readable by its owner only, and the same ever after. Call it while holding the store, so that only one
/// server makes it. Blocking. Fails with internal (what could not be read or written, and why) or
/// invalid_argument (the file holds no key).
result<std::string> first_key(const std::string& data_dir);

} // namespace sandy
