#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sandy::cli {

using variables = std::vector<std::pair<std::string, std::string>>;

/// Where the server is and how to be let in.
struct connection_options {
  std::string base_url = "http://127.0.0.1:7330"; ///< --base-url, SANDY_BASE_URL
  std::string api_key;                            ///< --api-key, SANDY_API_KEY; empty: the file in data_dir
  std::string data_dir =
      "/var/lib/sandy"; ///< --data-dir, SANDY_DATA_DIR: where a server of this machine keeps its key
};

/// A new sandbox; what is empty or zero is left to the server.
struct create_options {
  std::string flavor, image, memory, cpu, disk, workdir, priority;
  std::uint32_t pids = 0;
  std::uint32_t ttl_seconds = 0;
  std::uint32_t idle_timeout_seconds = 0;
  bool pause_on_idle = false;
  variables env;
  std::vector<std::uint16_t> ports;
};

/// A command in a sandbox.
struct exec_options {
  std::string script; ///< for a shell
  std::string cwd;
  variables env;
  std::uint64_t timeout_ms = 0; ///< 0: the server's
};

struct create_command {
  create_options sandbox;
  bool json = false; ///< the whole answer instead of the id
};
struct list_command {
  bool json = false;
};
struct get_command {
  std::string id;
};
struct exec_command {
  std::string id;
  exec_options exec;
};
/// Creates a sandbox, runs a command in it and ends it.
struct run_command {
  create_options sandbox;
  exec_options exec;
  bool keep = false; ///< leave the sandbox, and print its id to standard error
};
/// A terminal of a sandbox, joined to ours.
struct shell_command {
  std::string id;
  std::string script; ///< empty: the user's shell
  std::string cwd;
  std::optional<std::uint32_t> attach; ///< to this process, which has a terminal, instead of a new one
  bool read_only = false;
};
/// One side is ID:PATH, the other a local path, or "-" for standard input or output.
struct copy_command {
  std::string from, to;
};
struct logs_command {
  std::string id;
  std::uint32_t tail = 0; ///< 0: all
};
struct remove_command {
  std::vector<std::string> ids;
};
struct pause_command {
  std::vector<std::string> ids;
};
struct resume_command {
  std::vector<std::string> ids;
};
struct health_command {};
struct cluster_status_command {
  bool json = false;
};
enum class node_order { cordon, uncordon, drain };
/// What becomes of a node of the cluster.
struct cluster_node_command {
  node_order order = node_order::cordon;
  std::string name;
};
/// Keys and certificates for nodes, made without a server.
struct cluster_certs_command {
  std::string directory;
  std::vector<std::string> names;
  int days = 0;
};

using command =
    std::variant<create_command, list_command, get_command, exec_command, run_command, shell_command,
                 copy_command, logs_command, remove_command, pause_command, resume_command, health_command,
                 cluster_status_command, cluster_node_command, cluster_certs_command>;

struct arguments {
  connection_options where;
  command what;
};

/// What reading the command line led to.
struct parsed {
  std::optional<arguments> value; ///< none: print `text` and exit with `exit_code`
  int exit_code = 0;              ///< 0 after --help and --version, 2 for a mistake
  std::string text;
};

/// @param words without the program's name. Everything after the first "--" is the command to run, word by
/// word.
parsed parse_arguments(const std::vector<std::string>& words,
                       const std::map<std::string, std::string>& environment);

} // namespace sandy::cli
