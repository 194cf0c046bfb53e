#include "http/codec/create.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/network.hpp"
#include "http/codec/quantity.hpp"
#include "http/codec/secrets.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> priority_words{"CRITICAL", "HIGH", "NORMAL", "LOW"};
// Less is a slip of units: nothing starts in it.
constexpr std::uint64_t smallest_memory = 4ull * 1024 * 1024;
constexpr double mebibyte = 1024.0 * 1024.0;
constexpr double gibibyte = 1024.0 * mebibyte;

/// Base images that the contract names but that are a flavor and a feature of ours, not an image.
struct base_image {
  std::string_view name;
  std::string_view flavor;  ///< empty: as asked
  std::string_view warning; ///< empty: nothing is missing
};
constexpr base_image base_images[] = {
    {"default", "", ""},
    {"sandy-runtime:base", "basic", ""},
    {"sandy-runtime:agent-ready", "agent-ready", ""},
    {"sandy-runtime:playwright", "agent-ready", ""},
    {"janus-runtime", "",
     "There is no container runtime in this sandbox: the image janus-runtime is the default image."},
    {"sandy-docker", "", ""},
};

std::uint32_t in_seconds(double seconds) {
  if (!(seconds > 0))
    return 0; // zero and negative mean the default
  return static_cast<std::uint32_t>(
      std::min(std::ceil(seconds), double{std::numeric_limits<std::uint32_t>::max()}));
}

std::uint32_t read_ttl(field_reader& fields) {
  if (auto seconds = fields.number({"ttl_seconds", "ttlSeconds"}))
    return in_seconds(*seconds);
  if (auto seconds = fields.number({"timeout_seconds", "timeoutSeconds"}))
    return in_seconds(*seconds);
  if (auto seconds = fields.number({"timeout"}))
    return in_seconds(*seconds);
  if (auto minutes = fields.number({"timeout_minutes", "timeoutMinutes"}))
    return in_seconds(*minutes * 60);
  return 0;
}

/// How long it may be unused; the plain name is in seconds, too.
std::uint32_t read_idle_timeout(field_reader& fields) {
  auto seconds = fields.number({"idle_timeout_seconds", "idleTimeoutSeconds", "idle_timeout", "idleTimeout"});
  if (!seconds)
    return usual_idle_timeout;
  return std::min(in_seconds(*seconds), usual_idle_timeout - 1);
}

std::uint8_t read_priority(field_reader& fields) {
  auto* value = fields.find({"priority"});
  if (value == nullptr)
    return 2;
  if (auto number = loose_number(*value)) {
    if (*number >= 0 && *number <= 3 && *number == std::floor(*number))
      return static_cast<std::uint8_t>(*number);
  } else if (value->is_string()) {
    auto word = lower(trim(value->get_ref<const std::string&>()));
    for (std::size_t i = 0; i < priority_words.size(); ++i)
      if (word == lower(priority_words[i]))
        return static_cast<std::uint8_t>(i);
  } else {
    fields.refuse(errc::validation_failed, "priority must be a number or a word");
    return 2;
  }
  fields.refuse(errc::invalid_argument, "priority must be 0 to 3, or one of CRITICAL, HIGH, NORMAL, LOW");
  return 2;
}

/// An amount in `unit` bytes, from a plain number or numeric string.
std::uint64_t scaled(field_reader& fields, spellings names, double unit) {
  auto amount = fields.number(names);
  if (!amount)
    return 0;
  if (!(*amount >= 0) || *amount * unit > 1e18)
    fields.refuse(errc::invalid_argument, "resources." + std::string{*names.begin()} + " is out of range");
  return fields.failed() ? 0 : static_cast<std::uint64_t>(*amount * unit);
}

std::uint64_t amount_of_bytes(field_reader& fields, spellings names) {
  auto* value = fields.find(names);
  if (value == nullptr)
    return 0;
  auto name = "resources." + std::string{*names.begin()};
  if (!value->is_string() && !value->is_number()) {
    fields.refuse(errc::validation_failed, name + " must be an amount such as \"4Gi\"");
    return 0;
  }
  auto bytes = parse_bytes(*value);
  if (!bytes)
    fields.refuse(errc::invalid_argument, name + " must be an amount such as \"4Gi\"");
  return bytes.value_or(0);
}

std::uint32_t amount_of_cores(field_reader& fields) {
  auto* value = fields.find({"cpu", "cpus"});
  if (value == nullptr)
    return 0;
  if (!value->is_string() && !value->is_number()) {
    fields.refuse(errc::validation_failed, "resources.cpu must be a number of cores");
    return 0;
  }
  auto millis = parse_cores(*value);
  if (!millis)
    fields.refuse(errc::invalid_argument, "resources.cpu must be a number of cores, such as 2 or \"500m\"");
  return millis.value_or(0);
}

resource_limits read_limits(field_reader& outer, std::vector<std::string>& warnings) {
  resource_limits limits;
  auto* value = outer.find({"resources"});
  if (value == nullptr)
    return limits;
  if (!value->is_object()) {
    outer.refuse(errc::validation_failed, "resources must be an object");
    return limits;
  }
  field_reader fields{*value, "resources."};
  limits.cpu_millis = amount_of_cores(fields);
  limits.memory_bytes = scaled(fields, {"memory_mb", "memoryMb", "memoryMB"}, mebibyte);
  if (limits.memory_bytes == 0)
    limits.memory_bytes = amount_of_bytes(fields, {"memory", "memory_bytes", "memoryBytes"});
  limits.disk_bytes = scaled(fields, {"disk_gb", "diskGb", "diskGB"}, gibibyte);
  if (limits.disk_bytes == 0)
    limits.disk_bytes = amount_of_bytes(fields, {"disk", "disk_bytes", "diskBytes"});
  limits.pids = static_cast<std::uint32_t>(fields.whole({"pids"}, 0, 4'194'304).value_or(0));
  if (limits.memory_bytes != 0 && limits.memory_bytes < smallest_memory)
    fields.refuse(errc::invalid_argument,
                  "resources.memory must be at least 4 MiB; a number without a unit is bytes");
  if (fields.boolean({"gpu"}).value_or(false))
    warnings.emplace_back("There is no GPU in this sandbox.");
  if (fields.failed())
    outer.refuse(code_of(fields.error()), text_of(fields.error()));
  return limits;
}

void read_image(field_reader& fields, create_request& request) {
  request.message.image = fields.text({"image"}).value_or("");
  for (const auto& base : base_images) {
    if (request.message.image != base.name)
      continue;
    request.message.image.clear();
    request.message.docker_socket = base.name == "sandy-docker"; // what sets it apart from the default image
    if (!base.flavor.empty())
      request.message.flavor = base.flavor;
    if (!base.warning.empty())
      request.warnings.emplace_back(base.warning);
    return;
  }
}

/// Features of later versions: accepted, because clients send them by default, and answered truthfully.
void read_features(field_reader& fields, create_request& request) {
  auto& warnings = request.warnings;
  if (fields.boolean({"enableDockerSocket", "enable_docker_socket"}).value_or(false))
    request.message.docker_socket = true;
  request.desktop = fields.boolean({"enableVnc", "enable_vnc", "vnc"}).value_or(false);
  request.browser = fields.boolean({"enableBrowser", "enable_browser"}).value_or(false);
  auto object = [&](spellings names, std::string_view sentence) {
    auto* value = fields.find(names);
    if (value == nullptr)
      return;
    if (!value->is_object())
      fields.refuse(errc::validation_failed, std::string{*names.begin()} + " must be an object");
    warnings.emplace_back(sentence);
  };
  object({"browserSession", "browser_session"},
         "The browser session was not restored: no browser was started.");
  object({"agent"}, "No agent was preselected: a run names its agent.");
}

void read_connections(field_reader& fields, std::vector<sandbox_id>& targets) {
  auto* value = fields.find({"connect_to", "connectTo"});
  if (value == nullptr)
    return;
  auto wrong = [&] { fields.refuse(errc::validation_failed, "connect_to must be a list of sandbox ids"); };
  if (!value->is_array())
    return wrong();
  for (const auto& each : *value) {
    if (!each.is_string())
      return wrong();
    sandbox_id id{each.get<std::string>()};
    if (!is_sandbox_id(id.value))
      fields.refuse(errc::sandbox_not_found, "Sandbox not found");
    else if (std::find(targets.begin(), targets.end(), id) == targets.end())
      targets.push_back(std::move(id));
  }
}

} // namespace

std::string priority_name(std::uint8_t priority) {
  return std::string{priority < priority_words.size() ? priority_words[priority] : priority_words[2]};
}

result<std::uint32_t> parse_ttl(const json& body) {
  field_reader fields{body};
  auto ttl = read_ttl(fields);
  if (fields.failed())
    return fields.error();
  return ttl;
}

result<create_request> parse_create(const json& body) {
  create_request request;
  auto& message = request.message;
  field_reader fields{body};
  message.parent.value = fields.text({"parent_sandbox_id", "parentSandboxId"}).value_or("");
  message.flavor = fields.text({"flavor"}).value_or("");
  if (message.flavor.empty())
    message.flavor = "basic";
  read_image(fields, request);
  message.ttl_seconds = read_ttl(fields);
  message.idle_timeout_seconds = read_idle_timeout(fields);
  message.pause_on_idle = fields.boolean({"pause_on_idle", "pauseOnIdle"}).value_or(false);
  message.priority = read_priority(fields);
  message.preemptable = fields.boolean({"preemptable", "preemptible"}).value_or(false);
  fields.ports({"expose_ports", "exposePorts"}, message.expose_ports);
  fields.ports({"ports"}, message.expose_ports);
  fields.ports({"private_ports", "privatePorts"}, message.private_ports);
  message.limits = read_limits(fields, request.warnings);
  message.upstream = fields.text({"upstream"}).value_or("");
  read_features(fields, request);
  message.env = fields.env({"env", "envVars", "env_vars"});
  if (auto workdir = fields.path({"working_directory", "workingDirectory", "workdir"}))
    message.workdir = workdir->starts_with('/') ? *workdir : "/workspace/" + *workdir;
  read_connections(fields, message.connect_to);
  message.network = read_network(fields);
  message.secrets = read_secrets(fields);
  for (const auto& each : message.secrets)
    if (std::any_of(message.env.begin(), message.env.end(),
                    [&](const auto& variable) { return variable.first == each.name; }))
      fields.refuse(errc::invalid_argument, "env and secrets both have " + each.name);
  if (fields.failed())
    return fields.error();
  return request;
}

std::vector<std::string> differences(const create_sandbox& wish, const sandbox_info& made) {
  std::vector<std::string> out;
  if (wish.flavor != made.flavor)
    out.push_back("There is no flavor " + wish.flavor + " here: the sandbox has the flavor " + made.flavor +
                  ".");
  if (wish.docker_socket && !made.docker_socket)
    out.emplace_back(
        "There is no Docker socket in this sandbox: the operator of this server does not allow it.");
  auto less = [&](auto wanted, auto given, std::string_view what) {
    if (wanted > given && given > 0)
      out.push_back("The sandbox has less " + std::string{what} + " than asked for: the maximum is lower.");
  };
  less(wish.limits.memory_bytes, made.limits.memory_bytes, "memory");
  less(wish.limits.cpu_millis, made.limits.cpu_millis, "cpu");
  less(wish.limits.pids, made.limits.pids, "processes");
  less(wish.limits.disk_bytes, made.limits.disk_bytes, "disk");
  if (wish.network.mode != network_mode::usual && wish.network.mode > made.network.mode)
    out.push_back("The sandbox reaches less than asked for: its network mode is " +
                  to_string(made.network.mode) + ".");
  if (!made.secrets.empty() && made.network.mode != network_mode::internet)
    out.push_back("The secrets are of no use: the sandbox's network mode is " + to_string(made.network.mode) +
                  ".");
  if (wish.ttl_seconds > made.ttl_seconds && made.ttl_seconds > 0)
    out.push_back("The lifetime is shorter than asked for: the maximum is lower.");
  if (made.pause_on_idle && made.idle_timeout_seconds == 0)
    out.push_back("The sandbox is never paused for being idle: it has no idle timeout.");
  return out;
}

} // namespace sandy::http::codec
