#pragma once

// What most files of this room include anyway, parsed once. Files still include what they use.

#include "coro/ask.hpp"
#include "http/context.hpp"
#include "http/exchange.hpp"
#include "metrics/registry.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <nlohmann/json.hpp>
