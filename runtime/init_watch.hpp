#pragma once

#include "messages/sandbox_io.hpp"
#include "runtime/driver.hpp"

#include <memory>

namespace sandy::runtime {

/// Completes when the sandbox's process 1 has ended. Needs a kernel with pidfds (5.3).
io_task<result<void>> init_ended(std::shared_ptr<instance> which);

} // namespace sandy::runtime
