#pragma once

#include "messages/sandbox.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sandy::http::codec {

/// What a client wants, and what of it we know already that we cannot give.
struct create_request {
  create_sandbox message;            ///< without its caller
  std::vector<std::string> warnings; ///< one sentence each, for the answer
  bool desktop = false;              ///< with VNC
  bool browser = false;              ///< on that desktop
};

/// Reads the body of `POST /api/sandboxes`. Fails with validation_failed or invalid_argument, naming the
/// field.
result<create_request> parse_create(const nlohmann::json& body);

/// What differs between the wish and the sandbox that came out, one sentence each.
std::vector<std::string> differences(const create_sandbox& wish, const sandbox_info& made);

/// The lifetime asked for, from the first lifetime field present; 0: the default. Shared by create and
/// refresh.
result<std::uint32_t> parse_ttl(const nlohmann::json& body);

/// "NORMAL" of 2.
std::string priority_name(std::uint8_t priority);

} // namespace sandy::http::codec
