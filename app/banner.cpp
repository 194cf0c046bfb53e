#include "app/banner.hpp"

namespace sandy {

namespace {

std::string base_url(const config& settings, std::uint16_t port) {
  auto host = settings.listen.host;
  if (host == "0.0.0.0" || host == "::") // listens everywhere; this machine reaches it here
    host = host == "::" ? "::1" : "127.0.0.1";
  if (host.find(':') != std::string::npos)
    host = "[" + host + "]";
  return "http://" + host + ":" + std::to_string(port);
}

} // namespace

std::string banner(const config& settings, std::uint16_t port, const std::optional<std::string>& made_key) {
  auto url = base_url(settings, port);
  auto text = "listening on " + url + "\n";
  std::string key = "$SANDY_API_KEY";
  if (settings.open) {
    text += "API key: none needed (open)\n";
  } else if (made_key) {
    key = *made_key;
    text += "API key: " + key + "  (kept in " + settings.data_dir + "/api_key)\n";
  } else {
    text += "API key: as configured\n";
  }
  auto authorization = settings.open ? std::string{} : " -H 'Authorization: Bearer " + key + "'";
  if (!settings.open && !made_key)
    authorization = " -H \"Authorization: Bearer " + key + "\"";
  text += "Run code in a sandbox:\n  id=$(curl -s -X POST" + authorization + " " + url +
          "/api/sandboxes | grep -o '\"sandboxId\":\"[^\"]*' | cut -d'\"' -f4); curl -s" + authorization +
          " " + url + "/api/sandboxes/$id/exec -d '{\"command\": \"python3 -c \\\"print(6 * 7)\\\"\"}'\n";
  return text;
}

} // namespace sandy
