#pragma once

#include "http/egress/first_bytes.hpp"
#include "http/egress/policy.hpp"
#include "http/relay/relayed.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sandy::http::egress {

/// A connection of a sandbox to the world.
struct outgoing : relay::relayed {
  using relayed::relayed;
  destination to;
  std::optional<std::string> name; ///< that it said it is for
  bool inspected = false;          ///< what it says was looked at, and is on
  bool to_platform = false;
  bool judged = false;            ///< let through: from now on a new policy judges it again
  std::vector<std::string> known; ///< names that its address had then; a new policy goes by them
};

/// Reads until it is clear what is spoken, or nothing comes for `patience`, or not all of it within
/// `introduction`.
/// @param begun gets what was read; outlives the call.
io_task<first_words> listen(std::shared_ptr<outgoing> conn, std::string& begun,
                            std::chrono::milliseconds patience, std::chrono::milliseconds introduction);

/// Tells the near side, which is refused, and waits a little for it to go.
io_task<void> say(std::shared_ptr<outgoing> conn, std::string text);

/// What HTTP clients read of a refusal. @param where they wanted to
std::string refusal_page(refusal why, const std::string& where);

// Passing a connection on, when both sides are connected, until it is over.

/// What was read already, and all that follows.
io_task<void> pass_on_begun(std::shared_ptr<outgoing> conn, std::string begun);

/// HTTP of which every request is looked at, to the last: all must be for the same host. @param begun holds
/// the first head.
io_task<void> pass_on_requests(std::shared_ptr<outgoing> conn, std::string begun);

/// The server begins. What its client says then is looked at nevertheless: by now it must not be a protocol
/// that names a host.
io_task<void> pass_on_silent(std::shared_ptr<outgoing> conn);

} // namespace sandy::http::egress
