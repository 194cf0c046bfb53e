#pragma once

#include "http/shard.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

namespace sandy::http {

/// A socket that clients from outside connect to. Used on its executor's thread once it listens.
using client_acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, io_executor>;

/// Opens, binds and listens.
boost::system::error_code listen_on(client_acceptor& acceptor, const boost::asio::ip::tcp::endpoint& where);

/// Hands what comes to the shards in turn, until the acceptor is closed or the server drains. Too many are
/// told so. @param arrival_port the exposed port of sandboxes that is listened on; 0: it is the API.
/// @param from_nodes only other nodes are to connect to it: they are counted apart.
io_task<void> accept_clients(std::shared_ptr<client_acceptor> listening, std::shared_ptr<edge> common,
                             std::vector<std::shared_ptr<shard>> shards, std::uint16_t arrival_port,
                             bool from_nodes = false);

/// For whoever spawns it: its failure is a bug, and a dead server better than one that listens and never
/// answers.
void accepting_ended(const std::exception_ptr& what);

} // namespace sandy::http
