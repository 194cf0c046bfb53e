#include "app/cli/cluster_arguments.hpp"

#include "certificates/cluster_authority.hpp"

#include <CLI/CLI.hpp>

namespace sandy::cli {

cluster_arguments::cluster_arguments(CLI::App& app)
    : cluster_(
          app.add_subcommand("cluster", "Nodes that work together: certs, status, cordon, uncordon, drain"))
    , on_certs_(cluster_->add_subcommand("certs", "Make keys and certificates for nodes, without a server"))
    , on_status_(cluster_->add_subcommand("status", "List the nodes")) {
  cluster_->require_subcommand(0, 1); // with 1, a wrong word would be reported as a missing one
  certs_.days = certificates::usual_node_days;
  on_certs_->add_option("DIR", certs_.directory, "Where they go; made if it is not there")->required();
  on_certs_->add_option("NAME", certs_.names, "Names of nodes, as worker-1")->required();
  on_certs_->add_option("--days", certs_.days, "How long the nodes' certificates are valid")
      ->capture_default_str()
      ->check(CLI::Range(1, certificates::cluster_authority_days - 1));
  on_certs_->footer(
      "The authority, ca.pem and ca-key.pem in DIR, is made when it is not there, and valid for ten\n"
      "years. Every node gets ca.pem and its own NAME.pem and NAME-key.pem.\n"
      "ca-key.pem belongs on no node: whoever has it can make members of the cluster. Keep DIR where\n"
      "only you get at it, to add nodes later. What exists is never overwritten.");
  on_status_->add_flag("--json", status_.json, "Print what the server answers");
  add_order("cordon", node_order::cordon, "Place no new sandboxes on a node");
  add_order("uncordon", node_order::uncordon, "Place sandboxes on a node again");
  add_order("drain", node_order::drain,
            "Empty a node: nothing new is placed on it, what runs there may finish");
}

void cluster_arguments::add_order(const char* word, node_order order, const char* help) {
  auto* app = cluster_->add_subcommand(word, help);
  app->add_option("NAME", node_, "The node's name")->required();
  app->callback([this, order] { order_ = order; });
}

bool cluster_arguments::parsed() const { return cluster_->parsed(); }

std::optional<command> cluster_arguments::chosen() const {
  if (on_certs_->parsed())
    return certs_;
  if (on_status_->parsed())
    return status_;
  if (order_)
    return cluster_node_command{*order_, node_};
  return std::nullopt;
}

} // namespace sandy::cli
