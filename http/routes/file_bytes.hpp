#pragma once

#include "http/routes/common.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sandy::http::routes {

/// Answers with all bytes of an open file as they are.
/// @param extra headers beside the type and the length.
io_task<result<void>> send_raw(exchange& ex, open_file file, std::string_view type, header_list extra);

/// Answers with bytes of unknown length, an archive for example. Fails, before anything was sent, when its
/// begin does.
io_task<result<void>> send_source(exchange& ex, std::unique_ptr<byte_source> source,
                                  std::string_view content_type, header_list extra);

/// Sends what `source` yields, `length` bytes at most, into an answer that has begun, and ends it. When the
/// source fails the answer is left open: the client sees that it was cut.
io_task<void> copy_to_client(exchange& ex, byte_source& source, std::optional<std::uint64_t> length);

} // namespace sandy::http::routes
