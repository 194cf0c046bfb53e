#include "app/cli/commands.hpp"
#include "app/cli/interrupt.hpp"
#include "app/cli/output.hpp"
#include "app/cli/text.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <optional>

namespace sandy::cli {

namespace {

/// The bytes of an output event, exactly.
std::optional<std::string> bytes_of(const nlohmann::json& data) {
  if (data.contains("base64") && data["base64"].is_string())
    return base64_decoded(data["base64"].get_ref<const std::string&>());
  if (data.contains("text") && data["text"].is_string())
    return data["text"].get<std::string>();
  return std::nullopt;
}

/// Runs a command and passes its output on as it comes. @returns its exit code.
result<int> stream_exec(api_client& server, const std::string& id, const exec_options& options) {
  auto body = to_json(options);
  body["stream"] = true;
  std::optional<int> exit_code;
  auto streamed = server.events(sandbox_path(id, "/exec"), body, [&](const sse_event& event) -> result<bool> {
    auto data = nlohmann::json::parse(event.data, nullptr, false);
    if (!data.is_object())
      return fail(errc::upstream_error, "The server sent an event that is not JSON");
    if (event.name == "stdout" || event.name == "stderr") {
      auto bytes = bytes_of(data);
      if (!bytes)
        return fail(errc::upstream_error, "The server sent output that cannot be read");
      auto written = write_all(event.name == "stdout" ? STDOUT_FILENO : STDERR_FILENO, *bytes);
      if (!written)
        return std::move(written.error());
      return true;
    }
    if (event.name == "error")
      return fail(errc::upstream_error, "The command was lost: " + field(data, "detail"));
    if (event.name != "exit")
      return true; // an event of a newer server
    if (!data.contains("exit_code") || !data["exit_code"].is_number_integer())
      return fail(errc::upstream_error, "The server sent an exit without a code");
    exit_code = data["exit_code"].get<int>();
    if (data.value("timed_out", false)) {
      auto told = write_all(STDERR_FILENO, "sandy: the command was killed at its timeout\n");
      if (!told)
        return false; // the exit code still tells
    }
    return false;
  });
  if (!streamed)
    return std::move(streamed.error());
  if (!exit_code)
    return fail(errc::upstream_error, "The stream ended before the command did");
  return *exit_code;
}

} // namespace

nlohmann::json to_json(const exec_options& options) {
  nlohmann::json body{{"command", options.script}};
  if (!options.cwd.empty())
    body["cwd"] = options.cwd;
  for (const auto& [name, value] : options.env)
    body["env"][name] = value;
  if (options.timeout_ms)
    body["timeoutMs"] = options.timeout_ms;
  return body;
}

result<int> execute(api_client& server, const exec_command& what) {
  return stream_exec(server, what.id, what.exec);
}

result<int> execute(api_client& server, const run_command& what) {
  auto made = create_sandbox(server, what.sandbox);
  if (!made)
    return std::move(made.error());
  auto id = field(*made, "id");
  auto code = stream_exec(server, id, what.exec);
  // Whatever happened, also an interrupt: the sandbox is ours to end.
  auto signal = take_interrupt();
  auto told = what.keep ? write_all(STDERR_FILENO, "sandy: the sandbox is " + id + "\n")
                        : terminate_sandbox(server, id);
  if (!told)
    return fail(errc::upstream_error, "Sandbox " + id + " may still live: " + text_of(told.error()));
  if (signal)
    return 128 + signal;
  return code;
}

} // namespace sandy::cli
