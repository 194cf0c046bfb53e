#pragma once

#include <boost/asio/ip/address.hpp>

namespace sandy::http::outbound {

/// True for addresses of the public internet: what the server may connect to on somebody's wish. False for
/// loopback, private, shared, link-local (cloud metadata), documentation, benchmark, multicast and reserved
/// ones, for IPv6 outside global unicast, and for IPv6 forms that carry an IPv4 address. After IANA's
/// special-purpose registries (RFC 6890).
bool is_public(const boost::asio::ip::address& address) noexcept;

} // namespace sandy::http::outbound
