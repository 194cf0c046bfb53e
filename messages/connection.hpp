#pragma once

// Conversation: edge -> worker -> switchboard. Which sandboxes reach which others, and by what address.

#include "messages/sandbox.hpp"

namespace sandy {

/// One sandbox reaches the TCP ports of another, by the other's id as a host name; not the other way round.
struct sandbox_connection {
  sandbox_id source;         ///< reaches the other
  sandbox_id target;         ///< is reached
  std::uint32_t address = 0; ///< IPv4, host byte order: what the name stands for inside `source`
  unix_millis created_at = 0;
  friend bool operator==(const sandbox_connection&, const sandbox_connection&) = default;
};

/// Lets `id` reach `target`; answered by sandbox_connection when it does. Idempotent. Fails with
/// sandbox_not_found (either of them), invalid_argument (itself), limit_reached, feature_unavailable (the
/// kernel).
struct connect_sandboxes {
  principal caller;
  sandbox_id id;
  sandbox_id target;
};

/// Undoes that and cuts what is open; answered when it is done. Idempotent. Fails with sandbox_not_found.
struct disconnect_sandboxes {
  principal caller;
  sandbox_id id;
  sandbox_id target;
};

/// Asks for the connections from and to a sandbox; answered by vector<sandbox_connection>, oldest first.
struct list_connections {
  principal caller;
  sandbox_id id;
};

/// Worker -> switchboard: this one ends or has ended, and nobody will connect it any more; answered when
/// nothing of ours holds its network.
struct sandbox_left {
  sandbox_id id;
};

/// Worker -> switchboard: these live and can be reached; answered when the stored connections between them
/// are open again.
struct restore_connections {
  std::vector<sandbox_id> living;
};

template <class Inspector>
auto inspect(Inspector& f, sandbox_connection& x) {
  return f(caf::meta::type_name("sandbox_connection"), x.source, x.target, x.address, x.created_at);
}
template <class Inspector>
auto inspect(Inspector& f, connect_sandboxes& x) {
  return f(caf::meta::type_name("connect_sandboxes"), x.caller, x.id, x.target);
}
template <class Inspector>
auto inspect(Inspector& f, disconnect_sandboxes& x) {
  return f(caf::meta::type_name("disconnect_sandboxes"), x.caller, x.id, x.target);
}
template <class Inspector>
auto inspect(Inspector& f, list_connections& x) {
  return f(caf::meta::type_name("list_connections"), x.caller, x.id);
}
template <class Inspector>
auto inspect(Inspector& f, sandbox_left& x) {
  return f(caf::meta::type_name("sandbox_left"), x.id);
}
template <class Inspector>
auto inspect(Inspector& f, restore_connections& x) {
  return f(caf::meta::type_name("restore_connections"), x.living);
}

/// Keeps the connections between the sandboxes of this machine. Whether a caller may ask is the worker's to
/// know.
using switchboard_actor =
    caf::typed_actor<caf::replies_to<connect_sandboxes>::with<sandbox_connection>,
                     caf::replies_to<disconnect_sandboxes>::with<void>,
                     caf::replies_to<list_connections>::with<std::vector<sandbox_connection>>,
                     caf::replies_to<sandbox_left>::with<void>,
                     caf::replies_to<restore_connections>::with<void>>;

} // namespace sandy
