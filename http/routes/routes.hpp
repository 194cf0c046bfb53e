#pragma once

#include "http/router.hpp"

#include <nlohmann/json_fwd.hpp>

#include <vector>

namespace sandy::http {

/// Every route of the API; the sandbox family also without the prefix /api.
std::vector<route> all_routes();

/// The OpenAPI 3.1 description of exactly these routes. @param version of the server.
nlohmann::json openapi_document(std::string_view version);

namespace routes {

// One function per file of this folder: the routes it holds.
void add_sandbox_routes(std::vector<route>& table);
void add_image_routes(std::vector<route>& table);
void add_agent_routes(std::vector<route>& table);
void add_exec_routes(std::vector<route>& table);
void add_process_routes(std::vector<route>& table);
void add_terminal_routes(std::vector<route>& table);
void add_file_routes(std::vector<route>& table);
void add_raw_file_routes(std::vector<route>& table);
void add_tree_routes(std::vector<route>& table);
void add_machine_routes(std::vector<route>& table);
void add_event_routes(std::vector<route>& table);
void add_document_routes(std::vector<route>& table);
void add_admin_routes(std::vector<route>& table);
void add_connection_routes(std::vector<route>& table);
void add_network_routes(std::vector<route>& table);
void add_ingress_routes(std::vector<route>& table);
void add_chat_routes(std::vector<route>& table);
void add_arena_routes(std::vector<route>& table);
void add_container_routes(std::vector<route>& table);
void add_dialect_routes(std::vector<route>& table);
void add_cluster_routes(std::vector<route>& table);

} // namespace routes
} // namespace sandy::http
