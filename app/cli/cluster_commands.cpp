#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/text.hpp"

#include <nlohmann/json.hpp>

#include <iomanip>
#include <sstream>
#include <vector>

namespace sandy::cli {

namespace {

std::string or_dash(std::string text) { return text.empty() ? "-" : std::move(text); }

std::string labels_of(const nlohmann::json& node) {
  std::string text;
  for (const auto& label : node.value("labels", nlohmann::json::array()))
    if (label.is_string())
      text += (text.empty() ? "" : ",") + label.get<std::string>();
  return text;
}

/// A number of the node as people read it; empty when it is not told, as by a node that is not reached.
std::string number(const nlohmann::json& node, const char* name, double unit, int digits,
                   const char* suffix) {
  if (!node.contains(name) || !node[name].is_number())
    return {};
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << node[name].get<double>() / unit << suffix;
  return text.str();
}

std::vector<std::string> row_of(const nlohmann::json& node) {
  constexpr double gibibyte = 1024.0 * 1024 * 1024;
  return {or_dash(field(node, "name")),
          or_dash(field(node, "role")),
          or_dash(field(node, "state")),
          or_dash(labels_of(node)),
          or_dash(field(node, "sandboxes")) + "/" + or_dash(field(node, "max_sandboxes")),
          or_dash(number(node, "cpu_ratio", 0.01, 0, "%")),
          or_dash(number(node, "memory_available_bytes", gibibyte, 1, "Gi")),
          or_dash(field(node, "version"))};
}

result<int> print_nodes(const nlohmann::json& nodes) {
  std::vector<std::vector<std::string>> rows{
      {"NAME", "ROLE", "STATE", "LABELS", "SANDBOXES", "CPU", "FREE MEMORY", "VERSION"}};
  for (const auto& node : nodes)
    if (node.is_object())
      rows.push_back(row_of(node));
  return print(table(rows));
}

std::string_view word_of(node_order order) {
  switch (order) {
  case node_order::cordon:
    return "/cordon";
  case node_order::uncordon:
    return "/uncordon";
  case node_order::drain:
    return "/drain";
  }
  return {};
}

} // namespace

result<int> execute(api_client& server, const cluster_status_command& what) {
  auto answer = server.call("GET", "/api/cluster");
  if (what.json || !answer)
    return print_json(std::move(answer));
  if (!answer->is_object() || !answer->contains("nodes"))
    return fail(errc::upstream_error, "The server's answer names no nodes");
  return print_nodes((*answer)["nodes"]);
}

result<int> execute(api_client& server, const cluster_node_command& what) {
  auto target = "/api/cluster/nodes/" + percent_encoded(what.name) + std::string(word_of(what.order));
  auto node = server.call("POST", target, nlohmann::json::object());
  if (!node)
    return std::move(node.error());
  return print_nodes(nlohmann::json::array({std::move(*node)}));
}

} // namespace sandy::cli
