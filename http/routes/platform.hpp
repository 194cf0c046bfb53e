#pragma once

#include "http/router.hpp"

#include <vector>

namespace sandy::http::routes {

/// What sandboxes used of the platform's services.
void add_platform_routes(std::vector<route>& table);

} // namespace sandy::http::routes
