#pragma once

#include "http/codec/exec.hpp"
#include "http/routes/common.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace sandy::http::routes {

/// What a command that ran to its end wrote, and how it ended.
struct command_result {
  process_exit exit;
  codec::kept_output out;
  codec::kept_output err;
};

/// Runs a command to its end, and counts it. Reads all output, keeping at most `limit` bytes of each stream:
/// the command itself must never block on us. Fails with what starting it fails with, and then `started` is
/// false.
io_task<result<command_result>> run_command(context& server, std::shared_ptr<sandbox_io> io,
                                            process_spec spec, std::uint64_t limit, bool& started);

/// Answers with all of it, as text that JSON can hold, and says in stderr when the time was over: clients
/// look for that sentence.
/// @param more fields of the answer.
io_task<void> send_result(exchange& ex, command_result all, nlohmann::json more = nlohmann::json::object());

/// Counts a command whose exit was seen.
void count_exit(context& server, const process_exit& exit);

} // namespace sandy::http::routes
