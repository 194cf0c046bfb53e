#pragma once

#include "actors/model_containers.hpp"
#include "actors/services.hpp"
#include "http/auth.hpp"
#include "http/context.hpp"
#include "http/gateway/agent_settings.hpp"
#include "http/gateway/limits.hpp"
#include "http/platform/settings.hpp"
#include "messages/cluster.hpp"
#include "messages/error.hpp"
#include "messages/events.hpp"
#include "messages/limiter.hpp"
#include "metrics/log.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy {

/// Where the server listens. IPv6 addresses without their brackets.
struct listen_address {
  std::string host = "127.0.0.1"; ///< an address, no name: who may connect should not depend on a resolver
  std::uint16_t port = 7330;      ///< 0: the kernel chooses
  friend bool operator==(const listen_address&, const listen_address&) = default;
};

/// When an image that is not there is fetched without an administrator's asking.
enum class image_pull_policy : std::uint8_t { never, missing };

enum class log_format : std::uint8_t { json, text };

/// A model that answers chats: behind one or more URLs that answer OpenAI's chat completions, out of
/// containers of this installation, or by an agent in a sandbox.
struct model_settings {
  std::string id;
  std::vector<std::string> urls;                            ///< asked in turn
  std::optional<model_containers> containers;               ///< asked first
  std::optional<http::gateway::agent_model_settings> agent; ///< instead of all others
  std::string fallback_url;                 ///< asked when all of them have failed; empty: none
  std::chrono::milliseconds hedge_after{0}; ///< of silence, after which another one is asked too; 0: never
  std::string owned_by = "competitor";
  std::vector<std::string> aliases;
  std::string upstream_name; ///< that it has there; empty: the name that the client says
  std::string api_key;       ///< sent there; empty: see the next two
  std::string api_key_env;   ///< names the variable that holds it
  std::string api_key_file;
};

/// This server's part in a cluster.
struct cluster_settings {
  node_role role = node_role::all;
  std::string name;                      ///< empty: the host's
  std::vector<std::string> labels;       ///< names of `upstream` that it answers to
  std::optional<listen_address> listen;  ///< for requests from other nodes; none: the server is alone
  std::optional<listen_address> control; ///< for CAF's protocol; none: the host of `listen`, any port
  std::string advertise;                 ///< IP address that others reach it at; empty: the host of `listen`
  std::vector<std::string> join;         ///< HOST:PORT of `listen` of other nodes
  std::string certificate, key, authority; ///< PEM files
};

/// Everything an operator can choose. The initial values are the defaults; `app/settings.hpp` names and
/// explains each.
struct config {
  listen_address listen;
  std::string data_dir = "/var/lib/sandy";
  std::string image_dir = "/var/lib/sandy/images";
  std::uint32_t threads = 0; ///< 0: one per core
  cluster_settings cluster;
  std::chrono::milliseconds shutdown_grace{
      20'000};                ///< running requests may take this long; below the 30 s that supervisors wait
  bool end_sandboxes = false; ///< when told to stop, end all sandboxes too

  std::string api_key;                        ///< of the tenant "default"; empty: none
  std::vector<http::configured_key> api_keys; ///< all keys, `api_key` first; none: see app/first_key.hpp
  bool open = false;                          ///< no key needed
  std::vector<std::string> cors_origins;      ///< empty: every origin

  std::string public_scheme = "http";
  std::vector<std::string> host_suffixes{".sandy.localhost"}; ///< with their leading dots; the first is told
  std::optional<std::uint16_t> public_port;                   ///< none: the port that is listened on
  bool port_listeners = true;                                 ///< on the ports that sandboxes expose

  std::string crun = "crun"; ///< searched in PATH when it has no slash
  std::string docker_socket; ///< of the engine on this machine; empty: none
  std::string guest;         ///< path of sandy-guest; empty: beside the server's own program
  std::string launcher;      ///< path of sandy-launch; empty: beside the server's own program
  std::string copier;        ///< path of sandy-copy-layer; empty: the same
  std::string import_helper; ///< path of sandy-import-image; empty: beside the server's own program
  std::uint64_t max_image_bytes = 16ull << 30; ///< of an imported image: its archive, and what it unpacks to
  std::vector<std::string> image_import_dirs;  ///< where archives of this machine may be
  std::vector<std::string> image_registries;   ///< where images are fetched from; none: from nowhere
  std::vector<std::string> image_insecure_registries; ///< of them, those without TLS
  std::string image_registry_auth;                    ///< file of credentials; empty: none
  image_pull_policy image_pull = image_pull_policy::never;
  std::chrono::milliseconds image_pull_timeout{600'000}; ///< for one image
  std::string skopeo = "skopeo";                         ///< searched in PATH when it has no slash
  std::string agents;      ///< folder of agent definitions; empty: beside the server's own program
  std::string agent_relay; ///< IP:PORT; empty: none
  std::vector<std::string> agent_models;  ///< told to callers
  std::vector<std::string> network_allow; ///< destinations; empty: everything public
  std::vector<std::string> network_deny;  ///< destinations
  std::vector<std::string>
      network_private_allow;            ///< addresses that are not public, and are reached nevertheless
  std::vector<std::string> network_dns; ///< IP or IP:PORT; empty: those of /etc/resolv.conf
  std::string platform_relay;           ///< IP:PORT; empty: none
  bool platform_relay_named = false;    ///< it is told by the PROXY protocol which sandbox calls
  std::string network_ca_file;          ///< PEM; empty: none
  http::platform::settings platform;    ///< services that sandboxes reach at the platform's names
  std::string cgroup_parent;            ///< empty: derived from data_dir, so that two servers do not meet
  /// First host uid of sandboxes. With all slots it ends below 1 879 048 192, in the range that systemd
  /// leaves to containers.
  std::uint32_t uid_base = 300'000'000;

  std::uint32_t prewarm_count = 2;       ///< warm sandboxes in all: what flavors leave of them are "basic"
  std::uint32_t prewarm_basic = 0;       ///< of them at least these are "basic" ...
  std::uint32_t prewarm_agent_ready = 0; ///< ... and these "agent-ready"

  tenant_limits tenant_defaults;              ///< of every tenant
  std::map<tenant_id, tenant_limits> tenants; ///< of those that have others

  std::vector<webhook_settings> webhooks; ///< who is told of events

  std::vector<model_settings> models;           ///< that clients chat with
  std::optional<listen_address> gateway_listen; ///< a second address to listen on; none: there is one
  std::string gateway_default_model;            ///< id or alias; empty: the first
  std::string gateway_password;                 ///< empty: none
  bool gateway_for_sandboxes = false;           ///< with their own tokens
  std::string gateway_scoring_url;              ///< told of votes; empty: nobody is
  std::string upstream_ca_file;                 ///< PEM; empty: none
  http::gateway::chat_limits chats;
  http::gateway::artifact_limits artifacts;

  worker_settings worker; ///< its data_dir is filled in
  http::edge_limits edge;

  log_level level = log_level::info;
  log_format format = log_format::json;
};

/// What reading the configuration led to.
struct configured {
  std::optional<config> settings; ///< none: print `text` and exit with `exit_code`
  int exit_code = 0;              ///< 0 after --help, --version, --print-config; 2 for a mistake
  std::string text;               ///< for standard output, or for standard error after a mistake
};

/// Reads flags, environment and file; flags win over the environment, which wins over the file. Blocking
/// (reads a file).
/// @param arguments without the program's name. @param environment of the process. @param default_file read
/// when it exists and none is named by --config or SANDY_CONFIG.
configured read_configuration(const std::vector<std::string>& arguments,
                              const std::map<std::string, std::string>& environment, std::string_view version,
                              const std::string& default_file = "/etc/sandy/sandy.toml");

/// The environment of this process, as `read_configuration` wants it.
std::map<std::string, std::string> process_environment();

/// `chosen`, or the path of the program `name` in the directory of the running executable.
std::string program_path(const std::string& chosen, std::string_view name);

} // namespace sandy
