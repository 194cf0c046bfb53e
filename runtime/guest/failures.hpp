#pragma once

#include "guest/protocol.hpp"
#include "messages/error.hpp"

namespace sandy::guest {

/// A guest's refusal in our codes and words. The guest is not trusted: what it says is bounded and made
/// printable.
caf::error error_of(const failure& why);

} // namespace sandy::guest
