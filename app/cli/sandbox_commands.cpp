#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/text.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <vector>

namespace sandy::cli {

std::string sandbox_path(const std::string& id, std::string_view rest) {
  return "/api/sandboxes/" + percent_encoded(id) + std::string(rest);
}

std::string field(const nlohmann::json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || object[name].is_null())
    return {};
  const auto& value = object[name];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

nlohmann::json to_json(const create_options& options) {
  auto body = nlohmann::json::object();
  auto resources = nlohmann::json::object();
  auto set = [](nlohmann::json& into, const char* name, const std::string& text) {
    if (!text.empty())
      into[name] = text;
  };
  set(body, "flavor", options.flavor);
  set(body, "image", options.image);
  set(body, "workdir", options.workdir);
  set(body, "priority", options.priority);
  set(resources, "memory", options.memory);
  set(resources, "cpu", options.cpu);
  set(resources, "disk", options.disk);
  if (options.pids)
    resources["pids"] = options.pids;
  if (options.ttl_seconds)
    body["ttl_seconds"] = options.ttl_seconds;
  if (options.idle_timeout_seconds)
    body["idle_timeout_seconds"] = options.idle_timeout_seconds;
  if (options.pause_on_idle)
    body["pause_on_idle"] = true;
  if (!options.ports.empty())
    body["expose_ports"] = options.ports;
  for (const auto& [name, value] : options.env)
    body["env"][name] = value;
  if (!resources.empty())
    body["resources"] = std::move(resources);
  return body;
}

result<nlohmann::json> create_sandbox(api_client& server, const create_options& options) {
  auto made = server.call("POST", "/api/sandboxes", to_json(options));
  if (!made)
    return made;
  if (field(*made, "id").empty())
    return fail(errc::upstream_error, "The server's answer names no sandbox");
  if (made->contains("warnings") && (*made)["warnings"].is_array())
    for (const auto& warning : (*made)["warnings"])
      if (warning.is_string()) {
        auto told = write_all(STDERR_FILENO, "sandy: " + warning.get<std::string>() + "\n");
        if (!told)
          break; // nobody listens; the sandbox is there all the same
      }
  return made;
}

namespace {

result<void> order(api_client& server, const std::string& id, std::string_view what) {
  auto done = server.call("POST", sandbox_path(id, what), nlohmann::json::object());
  if (!done)
    return std::move(done.error());
  return caf::unit;
}

/// Does the same to each; one that is gone must not keep the others from it.
result<int> order_each(api_client& server, const std::vector<std::string>& ids, std::string_view what) {
  int code = 0;
  for (const auto& id : ids) {
    auto done = order(server, id, what);
    if (!done && code_of(done.error()) == errc::cancelled)
      return std::move(done.error());
    auto told = done ? write_all(STDOUT_FILENO, id + "\n")
                     : write_all(STDERR_FILENO, "sandy: " + id + ": " + text_of(done.error()) + "\n");
    if (!done || !told)
      code = 1;
  }
  return code;
}

} // namespace

result<void> terminate_sandbox(api_client& server, const std::string& id) {
  return order(server, id, "/terminate");
}

result<int> execute(api_client& server, const create_command& what) {
  auto made = create_sandbox(server, what.sandbox);
  if (what.json || !made)
    return print_json(std::move(made));
  return print(field(*made, "id") + "\n");
}

result<int> execute(api_client& server, const list_command& what) {
  auto answer = server.call("GET", "/api/sandboxes");
  if (what.json || !answer)
    return print_json(std::move(answer));
  std::vector<std::vector<std::string>> rows{{"ID", "STATUS", "FLAVOR", "CREATED", "SECONDS LEFT"}};
  for (const auto& one : answer->value("sandboxes", nlohmann::json::array()))
    rows.push_back({field(one, "id"), field(one, "status"), field(one, "flavor"), field(one, "createdAt"),
                    field(one, "ttl_remaining")});
  return print(table(rows));
}

result<int> execute(api_client& server, const get_command& what) {
  return print_json(server.call("GET", sandbox_path(what.id)));
}

result<int> execute(api_client& server, const logs_command& what) {
  auto answer = server.call(
      "GET", sandbox_path(what.id, "/logs" + (what.tail ? "?tail=" + std::to_string(what.tail) : "")));
  if (!answer)
    return std::move(answer.error());
  std::string text;
  for (const auto& line : answer->value("logs", nlohmann::json::array()))
    text += field(line, "timestamp") + " " + field(line, "source") + " " + field(line, "line") + "\n";
  return print(text);
}

result<int> execute(api_client& server, const remove_command& what) {
  return order_each(server, what.ids, "/terminate");
}

result<int> execute(api_client& server, const pause_command& what) {
  return order_each(server, what.ids, "/pause");
}

result<int> execute(api_client& server, const resume_command& what) {
  return order_each(server, what.ids, "/resume");
}

result<int> execute(api_client& server, const health_command&) {
  auto answer = server.call("GET", "/api/health");
  bool serves = answer && field(*answer, "status") == "ok";
  auto printed = print_json(std::move(answer));
  if (!printed)
    return printed;
  return serves ? 0 : 1;
}

} // namespace sandy::cli
