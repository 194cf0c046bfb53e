#pragma once

#include "messages/ids.hpp"
#include "messages/limiter.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::nodes {

/// The field of a request from one node to another that says what the first knows of it. Believed on
/// connections of other nodes alone, and passed on to nobody.
inline constexpr std::string_view passed_on_field = "Sandy-Passed-On";

/// What a node knows of a request that it passes on to the node of its sandbox.
struct passed_on {
  principal caller;
  principal inside;               ///< as `exchange::inside`
  std::string address;            ///< the client's
  std::uint16_t arrival_port = 0; ///< as `request_origin::arrival_port`
  std::string request_id;
  std::string host; ///< the name of the sandbox that it is addressed to; empty: it is for the API
  admission budget; ///< what the client is told of its tenant's
};

/// The value of the field.
std::string to_field(const passed_on& known);

/// Reads it. None for anything that `to_field` did not make.
std::optional<passed_on> read_field(std::string_view value);

} // namespace sandy::http::nodes
