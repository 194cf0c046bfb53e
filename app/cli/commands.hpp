#pragma once

#include "app/cli/api_client.hpp"
#include "app/cli/arguments.hpp"
#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace sandy::cli {

/// Exit code of exec, run and shell when the command could not be run, or its end is not known.
inline constexpr int exec_failed = 125;

/// Each returns the exit code, or the sentence to print before exiting with a failure. All block.
result<int> execute(api_client& server, const create_command& what);
result<int> execute(api_client& server, const list_command& what);
result<int> execute(api_client& server, const get_command& what);
result<int> execute(api_client& server, const exec_command& what);
result<int> execute(api_client& server, const run_command& what);
result<int> execute(api_client& server, const shell_command& what);
result<int> execute(api_client& server, const copy_command& what);
result<int> execute(api_client& server, const logs_command& what);
result<int> execute(api_client& server, const remove_command& what);
result<int> execute(api_client& server, const pause_command& what);
result<int> execute(api_client& server, const resume_command& what);
result<int> execute(api_client& server, const health_command& what);
result<int> execute(api_client& server, const cluster_status_command& what);
result<int> execute(api_client& server, const cluster_node_command& what);
/// Asks nothing of a server.
result<int> execute(api_client&, const cluster_certs_command& what);

/// The bodies of create and exec.
nlohmann::json to_json(const create_options& options);
nlohmann::json to_json(const exec_options& options);

/// Creates a sandbox; what the server could not honour goes to standard error. @returns its description.
result<nlohmann::json> create_sandbox(api_client& server, const create_options& options);
result<void> terminate_sandbox(api_client& server, const std::string& id);

/// "/api/sandboxes/ID" + rest.
std::string sandbox_path(const std::string& id, std::string_view rest = {});

/// The field as text whatever its type; empty when absent.
std::string field(const nlohmann::json& object, const char* name);

} // namespace sandy::cli
