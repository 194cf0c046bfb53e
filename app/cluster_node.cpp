#include "app/cluster_node.hpp"

#include "app/secret_file.hpp"
#include "coro/io.hpp"
#include "coro/pool.hpp"
#include "http/nodes/knocking.hpp"
#include "metrics/log.hpp"

#include <boost/asio/ip/address.hpp>

#include <caf/io/middleman.hpp>
#include <caf/openssl/all.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>

namespace sandy {

namespace {

// A node that stops answering, its connection open, is noticed by these; one whose process dies, at once.
constexpr caf::timespan heartbeat = std::chrono::seconds{1};
constexpr caf::timespan heartbeat_patience = std::chrono::seconds{5};

bool is_node_id(const std::string& text) {
  return text.size() == node_id_digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The host's name, as far as a node may bear it.
std::string host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0)
    return "node";
  std::string name{buffer.data()};
  std::ranges::transform(name, name.begin(), [](unsigned char c) -> char {
    auto lower = static_cast<char>(std::tolower(c));
    return std::isalnum(c) || c == '-' || c == '.' ? lower : '-';
  });
  return name.substr(0, 63);
}

/// Checked when the configuration was read.
node_address address_of(const std::string& text) {
  auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  boost::system::error_code is_name;
  if (auto address = boost::asio::ip::make_address(host, is_name); !is_name)
    host = address.to_string(); // one spelling
  node_address made{std::move(host), 0};
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), made.port);
  return made;
}

std::string wish_file(const std::string& data_dir) { return data_dir + "/node_state"; }

node_state kept_wish(const std::string& data_dir) {
  std::string word;
  std::ifstream{wish_file(data_dir)} >> word;
  for (auto each : {node_state::cordoned, node_state::draining})
    if (word == to_string(each))
      return each;
  return node_state::ready;
}

result<void> keep_wish(const std::string& data_dir, node_state wish) {
  const auto path = wish_file(data_dir), draft = path + ".new";
  std::ofstream file{draft, std::ios::trunc};
  file << to_string(wish) << "\n" << std::flush;
  if (!file || ::rename(draft.c_str(), path.c_str()) != 0)
    return fail(errc::internal, "What is wished of the node cannot be kept");
  return caf::unit;
}

result<membership_actor> connect(caf::actor_system& system, const std::string& host, std::uint16_t port) {
  auto handle = caf::openssl::remote_actor<membership_actor>(system, host, port);
  if (!handle)
    return fail(errc::upstream_error, "the node's control port " + host + ":" + std::to_string(port) +
                                          " takes no connection: " + system.render(handle.error()));
  return std::move(*handle);
}

} // namespace

result<node_identity> node_identity::open(const std::string& data_dir) {
  auto id = kept_secret(
      data_dir + "/node_id", "id of a node", [] { return random_hex(node_id_digits / 2); }, is_node_id);
  if (!id)
    return std::move(id.error());
  return node_identity{std::move(*id), kept_wish(data_dir)};
}

cluster_node::cluster_node(const config& settings, node_identity identity, std::string token_secret,
                           std::string_view version, coro::pool& threads, const http::server& server)
    : settings_(settings)
    , threads_(threads)
    , server_(server)
    , services_{.knock = [this](node_address where) { return knock(std::move(where)); },
                .connect = {},
                .remember = [dir = settings.data_dir](node_state wish) { return keep_wish(dir, wish); },
                .calls = coro::on_pool(threads.blocking()),
                .connections = coro::on_pool(connecting_),
                .directory = directory_,
                .abandon = [&server](const node_card& lost) { server.abandon_node(lost.host, lost.port); }} {
  const auto& cluster = settings.cluster;
  own_.id = std::move(identity.id);
  own_.state = identity.wish;
  own_.name = cluster.name.empty() ? host_name() : cluster.name;
  own_.version = version;
  own_.role = cluster.role;
  own_.labels = cluster.labels;
  own_.token_secret = std::move(token_secret);
  if (cluster.listen)
    own_.host = cluster.advertise.empty() ? cluster.listen->host : cluster.advertise;
}

void cluster_node::prepare(caf::actor_system_config& into, const cluster_settings& settings) {
  if (!settings.listen)
    return;
  into.load<caf::io::middleman>();
  into.load<caf::openssl::manager>();
  into.openssl_certificate = settings.certificate;
  into.openssl_key = settings.key;
  into.openssl_cafile = settings.authority;
  into.set("middleman.heartbeat-interval", heartbeat);
  into.set("middleman.connection-timeout", heartbeat_patience);
}

membership_actor cluster_node::spawn(caf::actor_system& system, worker_actor worker, std::uint16_t port) {
  own_.port = port;
  services_.connect = [&system](const std::string& host, std::uint16_t at) {
    return connect(system, host, at);
  };
  // Nobody who asks in the next moment finds no node at all.
  directory_.publish({{node_view{own_, true, unix_now()}}});
  std::vector<node_address> seeds;
  for (const auto& each : settings_.cluster.join)
    seeds.push_back(address_of(each));
  return system.spawn<coro::actor<membership_state, membership_actor>>(&services_, own_, std::move(seeds),
                                                                       std::move(worker));
}

result<http::nodes::door> cluster_node::listen(const membership_actor& members) {
  const auto& cluster = settings_.cluster;
  const auto at = cluster.control.value_or(listen_address{cluster.listen->host, 0});
  auto port = caf::openssl::publish(members, at.port, at.host.c_str(), true);
  if (!port)
    return fail(errc::conflict, "Cannot listen for nodes on " + at.host + ":" + std::to_string(at.port));
  control_port_ = *port;
  log_event(log_level::info, "node_listening",
            {{"node", own_.name},
             {"id", own_.id},
             {"host", own_.host},
             {"port", own_.port},
             {"control_port", *port}});
  return own_door();
}

http::nodes::door cluster_node::own_door() const {
  // Another address than that for requests, where the configuration says so.
  const auto& control = settings_.cluster.control;
  const auto apart = control && settings_.cluster.listen && control->host != settings_.cluster.listen->host &&
                     !boost::asio::ip::make_address(control->host).is_unspecified();
  return {own_.id, own_.name, own_.version, apart ? control->host : own_.host, control_port_};
}

coro::task<node_door> cluster_node::knock(node_address where) {
  auto home = server_.shard_of(threads_.here());
  if (!home)
    co_return fail(errc::internal, "No thread of the server's knocks");
  auto asked = http::nodes::knock(*home, std::move(where.host), where.port, own_door());
  auto found = co_await coro::io<http::nodes::door>(home->io_context, std::move(asked));
  if (!found)
    co_return std::move(found.error());
  const auto ours = own_door();
  const auto self = found->id == ours.id && found->host == ours.host && found->port == ours.port;
  co_return node_door{std::move(found->id), std::move(found->host), found->port, self};
}

std::string cluster_node::token_secret_of(const sandbox_id& sandbox) const {
  auto table = directory_.now();
  const auto* node = table->find(node_of(sandbox));
  return node == nullptr ? std::string{} : node->card.token_secret;
}

} // namespace sandy
