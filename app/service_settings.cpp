#include "app/setting_kinds.hpp"

namespace sandy {

void add_service_settings(std::vector<setting>& all) {
  using std::chrono::milliseconds, std::chrono::seconds;
  auto group = std::string_view("Limits of a tenant");
  all.push_back(make<limit_kind>("tenant_requests_per_second", group,
                                 FIELD(tenant_defaults.requests_per_second),
                                 "Requests per second; here and below, 0 means no limit"));
  all.push_back(make<limit_kind>("tenant_request_burst", group, FIELD(tenant_defaults.request_burst),
                                 "Requests at once, after a pause; 0 means as many as in one second"));
  all.push_back(make<limit_kind>("tenant_creations_per_minute", group,
                                 FIELD(tenant_defaults.creations_per_minute),
                                 "Sandboxes created per minute"));
  all.push_back(make<limit_kind>("tenant_creations_per_hour", group,
                                 FIELD(tenant_defaults.creations_per_hour), "Sandboxes created per hour"));
  all.push_back(make<limit_kind>("tenant_sandboxes", group, FIELD(tenant_defaults.sandboxes),
                                 "Sandboxes alive at once"));
  all.push_back(make<limit_kind>("tenant_streams", group, FIELD(tenant_defaults.streams),
                                 "Commands, event streams and file transfers at once"));
  all.push_back(make<size_limit_kind>("tenant_memory", group, FIELD(tenant_defaults.memory_bytes),
                                      "Sum of the memory limits of the sandboxes alive"));

  group = "Agents";
  all.push_back(
      make<path_kind>("agents", group, FIELD(agents),
                      "Folder with their definitions; empty means agent-definitions beside the server"));
  all.push_back(
      make<text_kind>("agent_base_url", group, FIELD(worker.agents.base_url),
                      "The model's interface for runs that name none; empty means what the definition says"));
  all.push_back(make<text_kind>("agent_api_key", group, FIELD(worker.agents.api_key),
                                "The model's key for runs that bring none; the agent sees it"));
  all.back().type = "KEY";
  all.back().secret = true;

  all.push_back(make<list_kind>("agent_models", group, FIELD(agent_models),
                                "Models that GET /api/agents tells callers of, separated by commas; runs may "
                                "name any"));
  all.push_back(
      make<text_kind>("agent_relay", group, FIELD(agent_relay),
                      "IP:PORT that agents reach as 127.0.0.1:7331 of their sandbox, and their model's "
                      "interface unless something else is said; empty means none"));

  group = "Containers";
  all.push_back(make<text_kind>("container_platform_url", group, FIELD(worker.containers.platform_url),
                                "What containers in sandboxes find as JANUS_PLATFORM_URL"));

  group = "Isolation";
  all.push_back(
      make<path_kind>("crun", group, FIELD(crun), "The crun program, searched in PATH when it has no slash"));
  all.push_back(make<runtime_kind>("runtime", group, FIELD(worker.runtimes.usual),
                                   "What isolates a sandbox that asks for nothing else: crun or docker"));
  all.push_back(
      make<path_kind>("docker_socket", group, FIELD(docker_socket),
                      "Socket of the Docker engine on this machine that makes sandboxes whose upstream "
                      "begins with docker; empty means none"));
  all.push_back(make<boolean_kind>("docker_socket_in_sandboxes", group, FIELD(worker.runtimes.docker_socket),
                                   "Sandboxes that ask for it get the engine's socket, and with it the whole "
                                   "machine"));
  all.push_back(make<path_kind>("guest", group, FIELD(guest),
                                "The sandy-guest program; empty means beside the server"));
  all.push_back(make<path_kind>("launcher", group, FIELD(launcher),
                                "The sandy-launch program; empty means beside the server"));
  all.push_back(make<path_kind>("copier", group, FIELD(copier),
                                "The sandy-copy-layer program; empty means beside the server"));
  all.push_back(make<path_kind>("import_helper", group, FIELD(import_helper),
                                "The sandy-import-image program; empty means beside the server"));
  all.push_back(make<path_kind>("skopeo", group, FIELD(skopeo),
                                "The skopeo program, searched in PATH when it has no slash"));
  all.push_back(make<text_kind>("cgroup_parent", group, FIELD(cgroup_parent),
                                "Control group that holds all sandboxes; empty derives one from data_dir"));
  all.push_back(make<count_kind<65536>>(
      "uid_base", group, FIELD(uid_base),
      "First host user id of sandboxes; each takes 65536 of them, which nobody else may use"));

  group = "Limits of the HTTP edge";
  all.push_back(
      make<small_size_kind>("max_header", group, FIELD(edge.header_bytes), "Request line and headers"));
  all.push_back(make<size_kind>("max_json_body", group, FIELD(edge.json_body_bytes),
                                "A JSON body; raw uploads have no limit but the sandbox's disk"));
  all.push_back(
      make<count_kind<1>>("max_connections", group, FIELD(edge.connections), "Connections open at once"));
  all.push_back(make<timeout_kind>("header_timeout", group, FIELD(edge.header_timeout),
                                   "From the first byte of a request to the end of its headers"));
  all.push_back(make<timeout_kind>("idle_timeout", group, FIELD(edge.idle_timeout),
                                   "Between two requests of a connection"));
  all.push_back(
      make<timeout_kind>("body_timeout", group, FIELD(edge.body_timeout), "Between two pieces of a body"));
  all.push_back(make<timeout_kind>("write_timeout", group, FIELD(edge.write_timeout),
                                   "Until a client that reads nothing is given up"));
  all.push_back(make<timeout_kind>("create_timeout", group, FIELD(edge.create_timeout),
                                   "Until a creation is given up"));
  all.push_back(make<timeout_kind>("control_timeout", group, FIELD(edge.control_timeout),
                                   "Until any other request, but for commands, is given up"));
  all.push_back(make<timeout_kind>("upstream_timeout", group, FIELD(edge.upstream_timeout),
                                   "Until an application in a sandbox must have begun to answer"));
  all.push_back(make<timeout_kind>("exec_timeout", group, FIELD(edge.exec_timeout),
                                   "Time a command has when its request names none"));
  all.push_back(make<size_kind>(
      "max_exec_output", group, FIELD(edge.exec_output_bytes),
      "Kept of a command's stdout and of its stderr in a JSON answer; the rest is cut, and said"));

  group = "Gateway";
  all.push_back(make<optional_listen_kind>(
      "gateway_listen", group, FIELD(gateway_listen),
      "A second address to accept connections on, for clients that look for a gateway there; the same is "
      "served on both; empty means none"));
  all.push_back(make<text_kind>("gateway_default_model", group, FIELD(gateway_default_model),
                                "The model, by id or alias, of chats that name none of ours; empty means the "
                                "first of [[models]]"));
  all.push_back(make<text_kind>("gateway_password", group, FIELD(gateway_password),
                                "Every request to the gateway must name it in X-PreReleasePassword; empty "
                                "means none"));
  all.back().secret = true;
  all.push_back(make<boolean_kind>("gateway_for_sandboxes", group, FIELD(gateway_for_sandboxes),
                                   "Sandboxes may chat with the tokens that they find inside; no budget but "
                                   "their tenant's holds them then"));
  all.push_back(make<text_kind>("gateway_scoring_url", group, FIELD(gateway_scoring_url),
                                "The service that votes of the arena are passed on to; empty means none"));
  all.push_back(make<text_kind>("upstream_ca_file", group, FIELD(upstream_ca_file),
                                "File of certificate authorities (PEM) by which the hosts of models and "
                                "services are trusted besides the machine's; empty means none"));
  all.push_back(make<size_kind>("max_chat_body", group, FIELD(chats.body_bytes), "Body of a chat"));
  all.push_back(make<size_kind>("max_artifact_bytes", group, FIELD(artifacts.bytes),
                                "All artifacts of chats together, in memory; the oldest give way"));
  all.push_back(make<timeout_kind>("gateway_connect_timeout", group, FIELD(chats.connect),
                                   "Until a model must have taken the connection"));
  all.push_back(make<timeout_kind>("gateway_first_token_timeout", group, FIELD(chats.first_token),
                                   "Until a model must have begun to answer"));
  all.push_back(make<timeout_kind>("gateway_chunk_timeout", group, FIELD(chats.between),
                                   "Between two pieces of an answer"));
  all.push_back(make<timeout_kind>("gateway_timeout", group, FIELD(chats.total),
                                   "From a chat to the end of its answer"));
  all.push_back(make<timeout_kind>("gateway_wake_wait", group, FIELD(chats.wake_wait),
                                   "Before a model that refuses at once, as if it were asleep, is asked "
                                   "again; doubles from time to time"));

  group = "Log";
  all.push_back(
      make<level_kind>("log_level", group, FIELD(level),
                       "Least important lines that are written: trace, debug, info, warn or error"));
  all.push_back(
      make<format_kind>("log_format", group, FIELD(format),
                        "JSON for programs, text for people; one line per event on standard error"));
}

} // namespace sandy
