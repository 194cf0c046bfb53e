#pragma once

// What most files of this room include anyway, parsed once. Files still include what they use.

#include "coro/actor.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "messages/worker.hpp"
#include "metrics/registry.hpp"
