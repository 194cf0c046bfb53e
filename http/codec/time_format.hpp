#pragma once

#include "messages/sandbox.hpp"

#include <string>

namespace sandy::http::codec {

/// "2026-01-20T10:00:00.000+00:00": always milliseconds and never `Z`, which older Python clients cannot
/// read.
std::string iso_time(unix_millis when);

/// "Tue, 20 Jan 2026 10:00:00 GMT" (RFC 9110, section 5.6.7), for Last-Modified.
std::string http_date(unix_millis when);

} // namespace sandy::http::codec
