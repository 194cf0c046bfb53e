#pragma once

#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sandy::http {

class exchange;
struct shard;

namespace nodes {

/// GET /node/door?protocol=1&name=w1&version=1.2.3, on a node listener: what a node asks before it speaks
/// CAF's protocol with another, so that two that would not understand each other say so.
inline constexpr std::string_view door_path = "/node/door";

/// A node, as it says before it is greeted, and where it speaks CAF's protocol.
struct door {
  std::string id;
  std::string name;
  std::string version;
  std::string host; ///< an IP address
  std::uint16_t port = 0;
};

/// Answers a node that knocks: with our door, or 409 when it speaks another protocol (logged).
io_task<void> answer_knock(exchange& ex);

/// Knocks at a node. @param who we are. Fails with upstream_error (nobody that can be trusted answers),
/// conflict (it speaks another protocol).
io_task<result<door>> knock(shard& home, std::string host, std::uint16_t port, door who);

} // namespace nodes
} // namespace sandy::http
