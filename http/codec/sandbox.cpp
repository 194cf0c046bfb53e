#include "http/codec/sandbox.hpp"

#include "http/codec/create.hpp"
#include "http/codec/network.hpp"
#include "http/codec/secrets.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

std::string status_word(const sandbox_info& info) {
  switch (info.state) {
  case sandbox_state::creating:
    return "creating";
  case sandbox_state::ready:
    return info.paused == pause_cause::none ? "running" : "paused";
  case sandbox_state::draining:
    return "terminating";
  case sandbox_state::gone:
    return "terminated";
  }
  return "terminated";
}

json limits_json(const resource_limits& limits) {
  constexpr double mebibyte = 1024.0 * 1024.0;
  auto memory_mb = static_cast<std::uint64_t>(static_cast<double>(limits.memory_bytes) / mebibyte);
  auto disk_gb = static_cast<double>(limits.disk_bytes) / (1024.0 * mebibyte);
  return {{"cpu", limits.cpu_millis / 1000.0},
          {"memory_mb", memory_mb},
          {"memoryMb", memory_mb},
          {"memory_bytes", limits.memory_bytes},
          {"memoryBytes", limits.memory_bytes},
          {"disk_gb", disk_gb},
          {"diskGb", disk_gb},
          {"disk_bytes", limits.disk_bytes},
          {"diskBytes", limits.disk_bytes},
          {"pids", limits.pids}};
}

} // namespace

std::string public_url(const public_address& address, const sandbox_id& id, std::uint16_t port) {
  auto url = address.scheme + "://";
  if (port != 0)
    url += std::to_string(port) + "-";
  url += id.value + address.host_suffix;
  if (address.port != 0 && address.port != 80 && address.port != 443)
    url += ":" + std::to_string(address.port);
  return url;
}

namespace {

/// Never null: clients look inside.
json vnc_fields(const sandbox_info& info, const public_address& address) {
  if (!has_desktop(info))
    return {{"enabled", false}};
  auto url = public_url(address, info.id, desktop_port);
  auto socket = "ws" + url.substr(url.find("http") + 4) + "/websockify"; // wss of https
  return {{"enabled", true},        {"port", rfb_port},        {"url", url + "/"},
          {"websocketUrl", socket}, {"websocket_url", socket}, {"passwordRequired", false}};
}

} // namespace

json to_json(const sandbox_info& info, const public_address& address, unix_millis now) {
  auto url = public_url(address, info.id);
  auto created = iso_time(info.created_at);
  auto deadline = iso_time(info.expires_at);
  auto parent = info.parent.value.empty() ? json{} : json(info.parent.value);
  auto latest = info.latest_end == 0 ? json{} : json(iso_time(info.latest_end));
  auto cause = info.paused == pause_cause::none ? json{} : json(to_string(info.paused));
  // Rounded up: a fresh sandbox has all of its lifetime.
  auto remaining = std::max<unix_millis>(0, (info.expires_at - now + 999) / 1000);
  auto vnc_port = has_desktop(info) ? json(rfb_port) : json{};
  // What the images of this installation hold; nobody knows what a caller installed.
  auto chromium = info.image == desktop_image || info.image == "agent-ready";
  json capabilities{{"vnc", has_desktop(info)},
                    {"browser", chromium},
                    {"agentBrowser", false},
                    {"playwright", chromium},
                    {"agents", info.agents}};
  return {{"sandboxId", info.id.value},
          {"sandbox_id", info.id.value},
          {"id", info.id.value},
          {"url", url},
          {"public_url", url},
          {"publicUrl", url},
          {"sandbox_url", url},
          {"sandboxUrl", url},
          {"host", info.id.value + address.host_suffix},
          {"port", address.port},
          {"status", status_word(info)},
          {"flavor", info.flavor},
          {"image", info.image.empty() ? "default" : info.image},
          {"priority", info.priority},
          {"priorityName", priority_name(info.priority)},
          {"priority_name", priority_name(info.priority)},
          {"preemptable", info.preemptable},
          {"preemptible", info.preemptable},
          {"upstream", info.upstream.empty() ? json{} : json(info.upstream)},
          {"runtime", info.runtime},
          {"dockerSocket", info.docker_socket},
          {"docker_socket", info.docker_socket},
          {"expose_ports", info.expose_ports},
          {"exposePorts", info.expose_ports},
          {"private_ports", info.private_ports},
          {"privatePorts", info.private_ports},
          {"resources", limits_json(info.limits)},
          {"working_directory", info.workdir},
          {"workingDirectory", info.workdir},
          {"createdAt", created},
          {"created_at", created},
          {"timeoutAt", deadline},
          {"timeout_at", deadline},
          {"expiresAt", deadline},
          {"expires_at", deadline},
          {"ttl_remaining", remaining},
          {"ttlRemaining", remaining},
          {"ttl_seconds", info.ttl_seconds},
          {"ttlSeconds", info.ttl_seconds},
          {"latest_expires_at", latest},
          {"latestExpiresAt", latest},
          {"idle_timeout_seconds", info.idle_timeout_seconds},
          {"idleTimeoutSeconds", info.idle_timeout_seconds},
          {"pause_on_idle", info.pause_on_idle},
          {"pauseOnIdle", info.pause_on_idle},
          {"paused", info.paused != pause_cause::none},
          {"paused_by", cause},
          {"pausedBy", cause},
          {"network", to_json(info.network)},
          {"secrets", to_json(info.secrets)},
          {"vnc", vnc_fields(info, address)},
          {"vncPort", vnc_port},
          {"vnc_port", vnc_port},
          {"capabilities", std::move(capabilities)},
          {"parent_sandbox_id", parent},
          {"parentSandboxId", parent}};
}

json to_json(const std::vector<sandbox_info>& all, const public_address& address, unix_millis now) {
  auto list = json::array();
  for (const auto& info : all)
    list.push_back(to_json(info, address, now));
  return {{"total", list.size()}, {"sandboxes", std::move(list)}};
}

json to_json(const sandbox_info& info, const public_address& address, unix_millis now,
             const std::vector<std::string>& warnings) {
  auto body = to_json(info, address, now);
  body["warnings"] = warnings;
  return body;
}

json to_json(const sandbox_ended& ended) {
  return {{"status", "terminated"}, {"sandboxId", ended.id.value},       {"sandbox_id", ended.id.value},
          {"id", ended.id.value},   {"reason", to_string(ended.reason)}, {"ok", true}};
}

json to_json(const std::vector<log_line>& lines) {
  auto logs = json::array();
  for (const auto& line : lines)
    logs.push_back(
        {{"timestamp", iso_time(line.timestamp)}, {"source", line.source}, {"line", repair_utf8(line.line)}});
  return {{"logs", std::move(logs)}};
}

json to_json(const preview& seen) {
  auto expires = seen.expires_at == 0 ? json{} : json(iso_time(seen.expires_at));
  return {{"url", seen.url},      {"previewUrl", seen.url}, {"preview_url", seen.url},
          {"port", seen.port},    {"ready", seen.ready},    {"signed", seen.expires_at != 0},
          {"expiresAt", expires}, {"expires_at", expires}};
}

std::string page_url(std::string url, std::string_view path, std::string_view access) {
  auto fragment = path.substr(std::min(path.find('#'), path.size()));
  path.remove_suffix(fragment.size());
  if (path == "/" && access.empty())
    return url.append(fragment);
  if (!path.starts_with('/') && (!path.empty() || !access.empty()))
    url.push_back('/');
  url.append(path);
  if (!access.empty()) {
    url.push_back(path.find('?') == std::string_view::npos ? '?' : '&');
    url.append(ingress::access_parameter).append("=").append(access);
  }
  return url.append(fragment);
}

bool has_desktop(const sandbox_info& info) {
  return info.image == desktop_image &&
         std::ranges::find(info.expose_ports, desktop_port) != info.expose_ports.end();
}

json vnc_json(const sandbox_info& info, const public_address& address, std::string_view resolution,
              bool ready) {
  auto body = vnc_fields(info, address);
  body["path"] = "/vnc/" + info.id.value + "/websockify";
  body["resolution"] = resolution.empty() ? json{} : json(resolution);
  body["ready"] = ready;
  body["passwordRequired"] = false;
  if (!body["enabled"].get<bool>())
    body["port"] = body["url"] = body["websocketUrl"] = body["websocket_url"] = nullptr;
  return body;
}

} // namespace sandy::http::codec
