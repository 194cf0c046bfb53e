#include "app/setting_kinds.hpp"

namespace sandy {

namespace {

/// Nodes, as HOST:PORT.
struct nodes_kind : list_kind {
  static constexpr std::string_view type = "NODES";
  static result<std::vector<std::string>> parse(std::string_view text) {
    auto all = list_kind::parse(text);
    for (const auto& each : *all) {
      auto colon = each.rfind(':');
      auto port = parse_count(colon == std::string::npos ? std::string_view{}
                                                         : std::string_view{each}.substr(colon + 1));
      if (colon == 0 || !port || *port == 0 || *port > 65535)
        return wrong("has an entry that is no host and port such as node1.example.com:7332");
    }
    return all;
  }
};

struct advertise_kind : text_kind {
  static constexpr std::string_view type = "ADDRESS";
  static result<std::string> parse(std::string_view text) {
    boost::system::error_code failed;
    if (!text.empty())
      boost::asio::ip::make_address(text, failed);
    if (failed)
      return wrong("is no IP address");
    return std::string(text);
  }
};

} // namespace

void add_cluster_settings(std::vector<setting>& all) {
  auto group = std::string_view("Cluster");
  all.push_back(make<optional_listen_kind>(
      "cluster_listen", group, FIELD(cluster.listen),
      "Where other nodes pass on requests, by mutual TLS; empty means that this server is alone"));
  all.push_back(make<optional_listen_kind>("cluster_control_listen", group, FIELD(cluster.control),
                                           "Where nodes tell each other how they do, by mutual TLS; empty "
                                           "means the address of cluster_listen, and a port that "
                                           "the kernel chooses"));
  all.push_back(make<advertise_kind>(
      "cluster_advertise", group, FIELD(cluster.advertise),
      "The address at which other nodes reach this one; empty means that of cluster_listen"));
  all.push_back(make<nodes_kind>(
      "cluster_join", group, FIELD(cluster.join),
      "HOST:PORT of cluster_listen of other nodes, separated by commas; those introduce the rest"));
  all.push_back(make<path_kind>("cluster_certificate", group, FIELD(cluster.certificate),
                                "This node's certificate (PEM), signed by cluster_authority"));
  all.push_back(make<path_kind>("cluster_key", group, FIELD(cluster.key), "Its key (PEM)"));
  all.push_back(make<path_kind>("cluster_authority", group, FIELD(cluster.authority),
                                "The authority (PEM) whose certificates make a node one of the cluster"));
  all.push_back(make<role_kind>("role", group, FIELD(cluster.role),
                                "What lives on this node: all, controller or worker. A controller has no "
                                "sandboxes; every node answers every request"));
  all.push_back(make<node_name_kind>("node_name", group, FIELD(cluster.name),
                                     "How this node is called; empty means the host's name"));
  all.push_back(make<list_kind>("node_labels", group, FIELD(cluster.labels),
                                "Names of upstream that this node answers to, separated by commas"));
}

} // namespace sandy
