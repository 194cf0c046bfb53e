#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <string_view>

namespace sandy::http::egress {

/// What a proxy says first on a connection it passes on, so that its target knows whose it is: the PROXY
/// protocol, version 2 (HAProxy), for TCP over IPv4, with `id` as its unique id (PP2_TYPE_UNIQUE_ID).
/// @param id at most 128 bytes.
std::string proxy_header(std::string_view id, const boost::asio::ip::tcp::endpoint& from,
                         const boost::asio::ip::tcp::endpoint& to);

} // namespace sandy::http::egress
