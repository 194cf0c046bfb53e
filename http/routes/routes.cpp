#include "http/routes/routes.hpp"

#include "http/routes/platform.hpp"

namespace sandy::http {

std::vector<route> all_routes() {
  std::vector<route> table;
  routes::add_sandbox_routes(table);
  routes::add_image_routes(table);
  routes::add_exec_routes(table);
  routes::add_agent_routes(table);
  routes::add_process_routes(table);
  routes::add_terminal_routes(table);
  routes::add_file_routes(table);
  routes::add_raw_file_routes(table);
  routes::add_tree_routes(table);
  routes::add_machine_routes(table);
  routes::add_event_routes(table);
  routes::add_document_routes(table);
  routes::add_admin_routes(table);
  routes::add_connection_routes(table);
  routes::add_network_routes(table);
  routes::add_ingress_routes(table);
  routes::add_chat_routes(table);
  routes::add_arena_routes(table);
  routes::add_container_routes(table);
  routes::add_dialect_routes(table);
  routes::add_cluster_routes(table);
  routes::add_platform_routes(table);
  return with_alias(std::move(table), "/api", "/sandboxes");
}

} // namespace sandy::http
