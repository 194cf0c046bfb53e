#pragma once

#include "http/routes/common.hpp"

#include <string>
#include <string_view>

namespace sandy::http::routes {

/// Answers GET or HEAD with a file, or a range of it, or says that the client has it already.
/// @param file opened from its begin; without `bytes` when they were read already: then it is opened again.
/// @param type its media type. @param extra headers beside those that describe the file.
io_task<result<void>> answer_with_file(exchange& ex, sandbox_io& io, std::string path, open_file file,
                                       std::string_view type, header_list extra);

} // namespace sandy::http::routes
