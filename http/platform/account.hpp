#pragma once

#include "http/exchange.hpp"
#include "http/platform/ledger.hpp"

#include <memory>

namespace sandy::http::platform {

/// The ledger of the sandbox that asks, which knows its parent's from then on. Fails with sandbox_not_found,
/// and as asking the worker does.
io_task<result<std::shared_ptr<ledger>>> account_of(exchange& ex);

} // namespace sandy::http::platform
