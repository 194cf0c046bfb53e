#include "http/ingress/serve.hpp"

#include "http/codec/sandbox.hpp"
#include "http/context.hpp"
#include "http/ingress/artifacts.hpp"
#include "http/ingress/forward.hpp"
#include "http/ingress/gate.hpp"
#include "http/ingress/host_name.hpp"
#include "http/request_head.hpp"
#include "http/routes/common.hpp"

#include <algorithm>

namespace sandy::http::ingress {

namespace {

caf::error bad_target() { return fail(errc::invalid_argument, "The request target is not valid"); }

/// Path and query, as they came, of a request that can be passed on; "*" asks about an application as a
/// whole.
result<std::string> target_of(const exchange& ex) {
  const auto& head = ex.head();
  if (!options_of(head))
    return fail(errc::invalid_argument, "The Connection header names too many fields");
  if (head.method() == "CONNECT")
    return fail(errc::invalid_argument, "Sandboxes are no proxies: CONNECT is not possible");
  if (head.target() == "*" && head.method() == "OPTIONS")
    return std::string{"*"};
  auto target = path_and_query(head.target());
  if (!target)
    return bad_target();
  return std::string{*target};
}

/// Where the part of a path begins, its slash included: of "/a/b?c" part 1 is at "/b?c". At the end when
/// there are fewer.
std::size_t begin_of_part(std::string_view target, int part) {
  std::size_t at = 0;
  for (; part > 0 && at < target.size() && target[at] != '?'; --part)
    at = std::min(target.find_first_of("/?", at + 1), target.size());
  return at;
}

/// What is behind the first `count` parts of a path, e.g. "/c?d" behind two of "/a/b/c?d".
std::string behind(std::string_view target, int count) {
  auto rest = target.substr(begin_of_part(target, count));
  return (rest.starts_with('/') ? "" : "/") + std::string{rest};
}

std::string host_of(exchange& ex, const sandbox_id& id) { return id.value + ex.server().address.host_suffix; }

/// Whether a viewer of the desktop asks for its connection at the sandbox's plain name.
bool is_for_desktop(const exchange& ex, const runtime::entrance& to, std::uint16_t port,
                    std::string_view target) {
  auto path = target.substr(0, target.find('?'));
  return port == to.runtime_port && (path == "/websockify" || path == "/vnc") && wants_upgrade(ex.head()) &&
         std::ranges::find(to.exposed_ports, codec::desktop_port) != to.exposed_ports.end();
}

io_task<result<void>> serve_host(exchange& ex) {
  const auto& named = *ex.addressed();
  auto target = target_of(ex);
  if (!target)
    co_return std::move(target.error());
  auto guest = co_await enter(ex, named.host.id);
  if (!guest)
    co_return std::move(guest.error());
  const auto& to = *guest->to;
  auto port = chosen_port(
      named.host, {ex.origin().arrival_port, ex.server().address.port, to.runtime_port, to.exposed_ports});
  const auto viewer = is_for_desktop(ex, to, port, *target);
  if (viewer)
    port = codec::desktop_port;
  auto passed = pass_gate(ex, to, port, *target, "/");
  if (!passed)
    co_return std::move(passed.error());
  if (passed->redirect) {
    co_await ex.reply_bytes(302, {}, {}, std::move(*passed->redirect));
    co_return caf::unit;
  }
  passed_request request{viewer ? "/websockify" : std::move(passed->target),
                         named.host.id.value + std::string{named.host.suffix}, std::string{named.given}};
  destination where{std::move(*guest), port, std::move(request)};
  auto plain = port != where.guest.to->runtime_port;
  auto work = plain ? forward(ex, std::move(where)) : forward_or_artifact(ex, std::move(where));
  auto outcome = co_await std::move(work);
  co_return outcome;
}

io_task<result<void>> serve_port(exchange& ex) {
  auto id = ex.param("id");
  if (!is_sandbox_id(id))
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  auto target = target_of(ex);
  if (!target)
    co_return std::move(target.error());
  const auto parts = target->starts_with("/api/") ? 5 : 4;
  // As it was sent: one address has one spelling.
  auto begin = begin_of_part(*target, parts - 1), end = begin_of_part(*target, parts);
  auto port = port_of(std::string_view{*target}.substr(begin + 1, end - begin - 1));
  if (port == 0)
    co_return fail(errc::invalid_argument, "A port is a number from 1 to 65535");
  sandbox_id whose{std::string{id}};
  auto& server = ex.server();
  auto allowed = co_await ask(server.worker, open_sandbox{ex.caller(), whose}, server.limits.control_timeout);
  if (!allowed)
    co_return std::move(allowed.error());
  auto guest = co_await enter(ex, whose);
  if (!guest)
    co_return std::move(guest.error());
  passed_request request{behind(*target, parts), host_of(ex, whose), std::string{ex.header("Host")}, true};
  destination where{std::move(*guest), port, std::move(request)};
  auto outcome = co_await forward(ex, std::move(where));
  co_return outcome;
}

/// What is below /NAME/{id}: a port of the sandbox, where nobody can give every sandbox a name.
/// @param port 0: the runtime port
io_task<result<void>> serve_below(exchange& ex, std::string name, std::uint16_t port) {
  auto id = ex.param("id");
  if (!is_sandbox_id(id))
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  sandbox_id whose{std::string{id}};
  auto target = target_of(ex);
  if (!target)
    co_return std::move(target.error());
  auto guest = co_await enter(ex, whose);
  if (!guest)
    co_return std::move(guest.error());
  const auto& to = *guest->to;
  if (port == 0)
    port = to.runtime_port;
  const auto plain = port == to.runtime_port;
  auto passed = pass_gate(ex, to, port, *target, "/" + name + "/" + whose.value);
  if (!passed)
    co_return std::move(passed.error());
  if (passed->redirect) {
    co_await ex.reply_bytes(302, {}, {}, std::move(*passed->redirect));
    co_return caf::unit;
  }
  passed_request request{behind(passed->target, 2), host_of(ex, whose), std::string{ex.header("Host")}, true};
  destination where{std::move(*guest), port, std::move(request)};
  auto work = plain ? forward_or_artifact(ex, std::move(where)) : forward(ex, std::move(where));
  auto outcome = co_await std::move(work);
  co_return outcome;
}

io_task<result<void>> serve_path(exchange& ex) { return serve_below(ex, "sandbox", 0); }
io_task<result<void>> serve_vnc(exchange& ex) { return serve_below(ex, "vnc", codec::desktop_port); }

} // namespace

const route host_route{"*", "{sandbox host}", routes::answer<serve_host>, true};

io_task<void> serve_port_path(exchange& ex) { return routes::answer<serve_port>(ex); }
io_task<void> serve_sandbox_path(exchange& ex) { return routes::answer<serve_path>(ex); }
io_task<void> serve_desktop_path(exchange& ex) { return routes::answer<serve_vnc>(ex); }

} // namespace sandy::http::ingress
