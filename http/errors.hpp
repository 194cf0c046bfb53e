#pragma once

#include "messages/error.hpp"

#include <string>

namespace sandy::http {

/// The HTTP status of our error, or of CAF's after translation. The only place that knows.
unsigned to_status(errc code) noexcept;
unsigned to_status(const caf::error& err);

/// The body of an error answer: {"detail": sentence, "error": {"code", "message"}}. Clients match on
/// `detail`, so some codes have a fixed one (an unknown sandbox is always "Sandbox not found").
std::string error_body(const caf::error& err);

/// Seconds after which a client may try again, as the error says or at least 1; 0 where trying again is no
/// use.
unsigned retry_after(const caf::error& err) noexcept;

} // namespace sandy::http
