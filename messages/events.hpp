#pragma once

// Conversation: whoever sees a sandbox's life change -> event log; edge and webhooks -> event log. What
// happened to which sandbox, in one order, kept for a while.

#include "messages/sandbox.hpp"

#include <optional>
#include <string_view>

namespace sandy {

/// What can happen to a sandbox. Their names (`to_string`) are part of the wire contract; append, never
/// renumber.
enum class life_event_type : std::uint8_t {
  created = 0,       ///< it is its tenant's, and takes commands
  renewed = 1,       ///< its deadline moved
  ending = 2,        ///< its end has begun
  failed = 3,        ///< the same, because it broke or could not be made
  ended = 4,         ///< nothing of it is left; the last event of a sandbox
  paused = 5,        ///< its processes stand still
  resumed = 6,       ///< they go on
  network_spent = 7, ///< it used up what its network policy lets it transfer
  last_ = 7          ///< for tests and tables that walk all of them
};
inline constexpr std::size_t life_event_types = static_cast<std::size_t>(life_event_type::last_) + 1;

/// The type as clients see it, e.g. "sandbox.created".
std::string to_string(life_event_type type);
/// The type of that name; none for a name that is no type's.
std::optional<life_event_type> life_event_type_of(std::string_view name);

/// Something happened to a sandbox. Sent to the event log, which gives it its number.
struct life_event {
  std::uint64_t sequence = 0; ///< 1, 2, 3, ... over all tenants and restarts; 0 until it is in the log
  unix_millis at = 0;
  tenant_id tenant;
  sandbox_id sandbox;
  sandbox_id parent; ///< empty: none
  life_event_type type = life_event_type::created;
  end_reason reason = end_reason::none; ///< of ending, failed and ended
  friend bool operator==(const life_event&, const life_event&) = default;
};

/// Asks for the events behind a number, oldest first; answered by event_page. Waits for one when there is
/// none.
struct read_events {
  principal caller;          ///< a tenant sees its own; a sandbox those of itself and its descendants
  bool every_tenant = false; ///< for the server's own readers: whoever the caller is
  std::uint64_t after = 0;   ///< 0, and numbers that are not given out yet: from the oldest kept
  sandbox_id sandbox;        ///< empty: all
  std::vector<life_event_type> types; ///< empty: all
  std::uint32_t limit = 256;          ///< at most this many; 0: only tells the newest number
  std::uint32_t wait_ms = 0;          ///< how long to wait for an event before an empty answer
};

struct event_page {
  std::vector<life_event> events; ///< in order
  std::uint64_t next = 0;         ///< go on after this number
  /// Numbers from..to were asked for and are not kept any more; some of them may have been other tenants'. 0:
  /// none missing.
  std::uint64_t missing_from = 0;
  std::uint64_t missing_to = 0;
  bool closing = false; ///< the server stops: nothing will follow
};

/// Answered when everything recorded so far is stored.
struct settle_events {};

/// The server stops: readers who wait for more are told so at once, and no one waits again.
struct close_events {};

/// Starts the deliveries of a webhook. Sent once.
struct deliver_events {};

/// Where an operator wants events posted.
struct webhook_settings {
  std::string url;                     ///< http or https
  std::string secret;                  ///< signs what is posted
  std::vector<life_event_type> events; ///< empty: all
  tenant_id tenant;                    ///< empty: every tenant's
  bool allow_private = false;          ///< also connect to addresses that are not public
};

template <class Inspector>
auto inspect(Inspector& f, life_event& x) {
  return f(caf::meta::type_name("life_event"), x.sequence, x.at, x.tenant, x.sandbox, x.parent, x.type,
           x.reason);
}
template <class Inspector>
auto inspect(Inspector& f, read_events& x) {
  return f(caf::meta::type_name("read_events"), x.caller, x.every_tenant, x.after, x.sandbox, x.types,
           x.limit, x.wait_ms);
}
template <class Inspector>
auto inspect(Inspector& f, event_page& x) {
  return f(caf::meta::type_name("event_page"), x.events, x.next, x.missing_from, x.missing_to, x.closing);
}
template <class Inspector>
auto inspect(Inspector& f, settle_events&) {
  return f(caf::meta::type_name("settle_events"));
}
template <class Inspector>
auto inspect(Inspector& f, close_events&) {
  return f(caf::meta::type_name("close_events"));
}
template <class Inspector>
auto inspect(Inspector& f, deliver_events&) {
  return f(caf::meta::type_name("deliver_events"));
}

/// Keeps the events of this server's sandboxes and gives them out.
using event_log_actor = caf::typed_actor<
    // Puts one event into the log.
    caf::reacts_to<life_event>, caf::replies_to<read_events>::with<event_page>,
    caf::replies_to<settle_events>::with<void>, caf::reacts_to<close_events>>;

/// Posts events to one address, in their order.
using webhook_actor = caf::typed_actor<caf::reacts_to<deliver_events>>;

} // namespace sandy
