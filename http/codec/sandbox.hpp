#pragma once

#include "http/context.hpp"
#include "messages/sandbox.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::codec {

/// The port that a sandbox's public URL reaches when none is named.
inline constexpr std::uint16_t runtime_port = 5173;

/// "http://{id}.sandy.localhost:7330": absolute, no trailing slash. Leads to the runtime port. @param port
/// another one: it stands before the id, so that one listener serves them all.
std::string public_url(const public_address& address, const sandbox_id& id, std::uint16_t port = 0);

/// The sandbox object, with every spelling that a client reads. @param now for what remains of the lifetime.
nlohmann::json to_json(const sandbox_info& info, const public_address& address, unix_millis now);
nlohmann::json to_json(const std::vector<sandbox_info>& all, const public_address& address, unix_millis now);
/// The create answer: the sandbox and what of the wish was not granted.
nlohmann::json to_json(const sandbox_info& info, const public_address& address, unix_millis now,
                       const std::vector<std::string>& warnings);
nlohmann::json to_json(const sandbox_ended& ended);
nlohmann::json to_json(const std::vector<log_line>& lines);

/// How to see what listens on a port.
struct preview {
  std::string url;
  std::uint16_t port = 0;
  bool ready = false;         ///< something listens
  unix_millis expires_at = 0; ///< until then the URL works; 0: as long as the sandbox lives
};
nlohmann::json to_json(const preview& seen);
/// A URL of a page. @param path a leading slash is added. @param access a signature for it; empty: none.
std::string page_url(std::string url, std::string_view path, std::string_view access);
/// The image, and the flavor, that has a desktop.
inline constexpr const char* desktop_image = "desktop";
/// Where the programs of a desktop listen inside: noVNC's pages with their WebSocket, and the RFB protocol.
inline constexpr std::uint16_t desktop_port = 7900, rfb_port = 5900;
/// Whether a sandbox was made with its desktop.
bool has_desktop(const sandbox_info& info);

/// How to look at a desktop. @param resolution of the one that runs; empty: none does.
nlohmann::json vnc_json(const sandbox_info& info, const public_address& address, std::string_view resolution,
                        bool ready);

} // namespace sandy::http::codec
