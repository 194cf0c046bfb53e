#include "http/ingress/serve.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/sandbox.hpp"
#include "http/routes/common.hpp"
#include "http/routes/routes.hpp"
#include "runtime/entrance.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

// Ways into a sandbox that need no host name of its own, and the URL of those that have one.

namespace sandy::http::routes {

namespace {

constexpr std::int64_t longest_access_seconds = 7 * 24 * 3600;
constexpr std::int64_t usual_access_seconds = 3600;

/// Whether everybody reaches a port by its URL alone.
bool is_open(const runtime::entrance& to, std::uint16_t port) {
  auto has = [&](const std::vector<std::uint16_t>& ports) {
    return std::ranges::find(ports, port) != ports.end();
  };
  return (port == to.runtime_port || has(to.exposed_ports)) && !has(to.private_ports);
}

io_task<result<void>> preview(exchange& ex) {
  auto id = named_sandbox(ex);
  if (!id)
    co_return id.error();
  auto body = co_await read_json(ex);
  if (!body)
    co_return body.error();
  codec::field_reader fields{*body};
  auto port = static_cast<std::uint16_t>(fields.whole({"port"}, 1, 65535).value_or(0));
  auto path = fields.text({"path"}).value_or("");
  auto seconds =
      fields.whole({"expiresIn", "expires_in"}, 1, longest_access_seconds).value_or(usual_access_seconds);
  if (fields.failed())
    co_return fields.error();
  auto& server = ex.server();
  auto to = server.entrances != nullptr ? server.entrances->find(*id) : nullptr;
  const auto plain_port = to ? to->runtime_port : codec::runtime_port;
  if (port == 0)
    port = plain_port;
  // Whether the caller reaches the sandbox at all is decided here.
  auto ready = co_await ask(server.worker, probe_port{ex.caller(), *id, port}, server.limits.control_timeout);
  if (!ready)
    co_return ready.error();
  codec::preview seen{{}, port, *ready, 0};
  std::string access;
  if (to && !is_open(*to, port)) {
    seen.expires_at = unix_now() + 1000 * seconds;
    access = server.ports.sign(*id, port, seen.expires_at);
  }
  auto label = port == plain_port ? std::uint16_t{0} : port;
  seen.url = codec::page_url(codec::public_url(server.address, *id, label), path, access);
  co_await ex.reply(200, codec::to_json(seen));
  co_return answered();
}

} // namespace

void add_ingress_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/api/sandboxes/{id}/preview", answer<preview>},
                             {any_method, "/api/sandboxes/{id}/proxy/{port}/{path...}",
                              ingress::serve_port_path, false, request_cost::stream},
                             {any_method, "/sandbox/{id}/{path...}", ingress::serve_sandbox_path, true},
                             {any_method, "/vnc/{id}/{path...}", ingress::serve_desktop_path, true}});
}

} // namespace sandy::http::routes
