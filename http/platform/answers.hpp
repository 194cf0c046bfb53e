#pragma once

#include "http/exchange.hpp"
#include "http/platform/ledger.hpp"

#include <string>
#include <string_view>

namespace sandy::http::platform {

/// Why the proxy itself says no. The words are for programs.
namespace reasons {
inline constexpr std::string_view no_service = "not_a_platform_service";
inline constexpr std::string_view budget = "budget_exhausted";
inline constexpr std::string_view unreachable = "service_unreachable";
inline constexpr std::string_view too_slow = "service_timeout";
inline constexpr std::string_view paused = "service_suspended";
inline constexpr std::string_view too_large = "answer_too_large";
inline constexpr std::string_view broken = "answer_broken";
} // namespace reasons

/// {"detail", "error": {"code", "type", "message"}}: what clients of models read of errors, too.
std::string refusal_body(std::string_view code, std::string_view detail);
/// Answers with it.
io_task<void> refuse(exchange& ex, unsigned status, std::string_view code, std::string detail,
                     header_list extra = {});

/// What ends a stream of events that cannot go on: the truth, as an event, and the event that all streams end
/// with.
std::string last_events(std::string_view code, std::string_view detail);

/// "This sandbox has used up its budget of tokens".
std::string budget_sentence(spent_part part);

} // namespace sandy::http::platform
