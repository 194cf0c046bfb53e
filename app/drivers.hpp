#pragma once

#include "app/config.hpp"
#include "runtime/driver.hpp"

#include <memory>
#include <string>

namespace sandy {

/// What isolates the server's sandboxes: crun's driver, and Docker's beside it where an engine is configured.
/// @param crun path of the crun program. Blocking. Fails as those drivers do.
result<std::unique_ptr<runtime::driver>> make_driver(const config& settings, const std::string& crun);

} // namespace sandy
