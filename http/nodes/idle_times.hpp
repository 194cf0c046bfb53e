#pragma once

#include <chrono>

namespace sandy::http::nodes {

/// How long a connection to another node waits for its next request. Making one costs both sides a greeting
/// with certificates; a cluster has few, so they may wait long.
inline constexpr std::chrono::milliseconds kept_idle{60'000};

/// How long the other node waits for that request, at least. Longer, so that no request meets the end of its
/// connection on the way.
inline constexpr std::chrono::milliseconds served_idle{90'000};

} // namespace sandy::http::nodes
