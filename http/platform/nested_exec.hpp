#pragma once

#include "http/exchange.hpp"
#include "messages/error.hpp"
#include "messages/sandbox_io.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace sandy::http::platform {

/// What `POST /sandbox/exec` asks for: a command, or code in a language.
struct nested_request {
  process_spec spec;    ///< of a command; of code what surrounds it
  std::string language; ///< empty: a command
  std::string code;
  sandbox_id child; ///< to run it in; empty: a new one
};

/// Reads its body: `command`, `cwd`, `env`, `timeout`, `timeoutMs` as for exec, or `language`, `code`,
/// `timeout` (at most 60 s); and `sandbox_id`. Fails with validation_failed or invalid_argument, naming the
/// field.
result<nested_request> parse_nested(const nlohmann::json& body, std::chrono::milliseconds standard);

/// Makes the script that runs the code of a request which is in `directory`, and removes it.
std::string script_for(const nested_request& request, const std::string& directory);
/// Name of the file that the code goes to.
std::string code_file(const nested_request& request);

/// Runs something in a child of the sandbox that asks, a new one unless it names one, and answers what came
/// of it.
io_task<result<void>> nested_exec(exchange& ex);

} // namespace sandy::http::platform
