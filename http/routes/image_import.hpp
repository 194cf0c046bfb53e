#pragma once

#include "http/routes/common.hpp"

namespace sandy::http::routes {

/// POST /api/images: makes an image from the archive in the body, or from one of the server's machine.
io_task<result<void>> import_image(exchange& ex);

} // namespace sandy::http::routes
