#include "http/routes/desktop.hpp"

#include "http/codec/sandbox.hpp"
#include "http/routes/common.hpp"
#include "messages/image.hpp"

#include <algorithm>
#include <charconv>

namespace sandy::http::routes {

namespace {

constexpr std::string_view program = "sandy-desktop";
constexpr std::string_view usual_resolution = "1280x720";

/// As the program takes it.
bool is_resolution(std::string_view text) {
  auto number = [](std::string_view part) {
    unsigned pixels = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), pixels);
    return error == std::errc{} && end == part.data() + part.size() && pixels >= 64 && pixels <= 8192;
  };
  auto cross = text.find('x');
  return cross != std::string_view::npos && number(text.substr(0, cross)) && number(text.substr(cross + 1));
}

std::string resolution_for(const environment& env) {
  for (const auto& [name, value] : env)
    if (name == "SANDY_VNC_RESOLUTION" && is_resolution(value))
      return value;
  return std::string{usual_resolution};
}

io_task<bool> desktop_image_installed(exchange& ex) {
  auto& server = ex.server();
  auto images = co_await ask(server.worker, list_images{ex.caller()}, server.limits.control_timeout);
  co_return images&& std::ranges::any_of(
      *images, [](const image_info& each) { return !each.snapshot && each.name == codec::desktop_image; });
}

void warn(codec::create_request& request) {
  if (request.desktop)
    request.warnings.emplace_back("There is no desktop with VNC in this sandbox.");
  if (request.browser)
    request.warnings.emplace_back("No browser was started in this sandbox.");
}

} // namespace

io_task<bool> plan_desktop(exchange& ex, codec::create_request& request) {
  auto& message = request.message;
  auto by_flavor = message.flavor == codec::desktop_image && message.image.empty();
  if (!by_flavor && !request.desktop && !request.browser)
    co_return false;
  if (!by_flavor && message.image.empty()) {
    auto installed = co_await desktop_image_installed(ex);
    if (installed)
      message.image = codec::desktop_image;
  }
  if (!by_flavor && message.image != codec::desktop_image) {
    warn(request);
    co_return false;
  }
  auto& ports = message.expose_ports;
  if (std::ranges::find(ports, codec::desktop_port) == ports.end())
    ports.push_back(codec::desktop_port);
  co_return true;
}

io_task<std::string> start_desktop(exchange& ex, const sandbox_info& made,
                                   const codec::create_request& request) {
  if (!codec::has_desktop(made)) // the flavor was another's: the answer says so
    co_return "There is no desktop with VNC in this sandbox.";
  auto& server = ex.server();
  auto io = server.data.find(made.id);
  if (!io)
    co_return "The desktop was not started: the sandbox has ended.";
  process_spec spec;
  // The ports are what viewers are led to, whatever the environment says.
  spec.argv = {std::string{program},
               "--resolution",
               resolution_for(request.message.env),
               "--port",
               std::to_string(codec::desktop_port),
               "--rfb-port",
               std::to_string(codec::rfb_port)};
  if (request.browser)
    spec.argv.emplace_back("--browser");
  auto started = co_await within(io->start(std::move(spec)), server.limits.control_timeout);
  if (!started)
    co_return "The desktop was not started: " + text_of(started.error());
  co_return std::string{};
}

io_task<result<std::optional<std::string>>> running_desktop(exchange& ex) {
  auto io = co_await open_io(ex);
  if (!io)
    co_return io.error();
  auto all = co_await soon(ex, (*io)->processes());
  if (!all)
    co_return all.error();
  for (const auto& each : *all) {
    std::string_view command = each.command;
    auto begin = std::string{program} + " --resolution ";
    if (each.status == process_status::running && command.starts_with(begin)) {
      auto rest = command.substr(begin.size());
      co_return std::optional<std::string>{rest.substr(0, rest.find(' '))};
    }
  }
  co_return std::optional<std::string>{};
}

} // namespace sandy::http::routes
