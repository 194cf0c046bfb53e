#include "app/config.hpp"

#include "app/config_file.hpp"
#include "app/platform_service.hpp"
#include "app/settings.hpp"
#include "app/units.hpp"
#include "runtime/driver.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

extern char** environ; // POSIX; no header declares it

namespace sandy {

namespace {

using sources = std::map<std::string_view, std::string>; ///< where a setting's value comes from, by name

result<void> apply(config& into, const setting& one, std::string_view text, const std::string& source,
                   sources& from) {
  auto done = one.set(into, text);
  if (!done) {
    auto shown = one.secret ? std::string() : " = \"" + std::string(text) + "\"";
    return fail(errc::invalid_argument,
                std::string(one.name) + shown + " " + text_of(done.error()) + " (" + source + ")");
  }
  from[one.name] = source;
  return caf::unit;
}

using tenant_changes = std::map<std::string, limit_changes>;

result<void> apply_file(config& into, tenant_changes& tenants, const std::string& path, sources& from) {
  auto file = read_config_file(path);
  if (!file)
    return std::move(file.error());
  for (auto& key : file->api_keys)
    into.api_keys.push_back(std::move(key));
  for (auto& [name, kind] : file->flavors)
    into.worker.flavors[name] = std::move(kind);
  tenants = std::move(file->tenants);
  into.webhooks = std::move(file->webhooks);
  if (!file->image_aliases.empty())
    into.worker.images = image_names{std::move(file->image_aliases)};
  into.models = std::move(file->models);
  into.platform.services = std::move(file->platform_services);
  into.platform.prices = std::move(file->platform_prices);
  for (const auto& [name, value] : file->values)
    if (auto done = apply(into, *find_setting(name), value.text, value.source, from); !done)
      return done;
  return caf::unit;
}

/// Tenants differ from what the settings come to, wherever those are given.
void apply_tenants(config& into, const tenant_changes& tenants) {
  for (const auto& [name, changes] : tenants) {
    auto limits = into.tenant_defaults;
    for (const auto& [field, value] : changes)
      limits.*field = value;
    into.tenants[{name}] = limits;
  }
}

/// The flavors' own numbers of warm sandboxes, completed by the settings that name two flavors and the sum.
void apply_prewarm(config& into) {
  auto at_least = [&](const char* name, std::uint32_t count) {
    if (auto kind = into.worker.flavors.find(name); kind != into.worker.flavors.end())
      kind->second.warm = std::max(kind->second.warm, count);
  };
  at_least("basic", into.prewarm_basic);
  at_least("agent-ready", into.prewarm_agent_ready);
  std::uint32_t others = 0;
  for (const auto& [name, kind] : into.worker.flavors)
    if (name != "basic")
      others += kind.warm;
  at_least("basic", into.prewarm_count - std::min(into.prewarm_count, others));
}

/// What single values cannot show: how they fit together.
result<void> check(const config& all) {
  auto refuse = [](std::string text) { return fail(errc::invalid_argument, std::move(text)); };
  const auto& least = all.worker.default_limits;
  const auto& most = all.worker.max_limits;
  auto over = [](const resource_limits& asked, const resource_limits& bound) -> std::string {
    if (asked.memory_bytes > bound.memory_bytes)
      return "memory";
    if (asked.cpu_millis > bound.cpu_millis)
      return "cpu";
    if (asked.pids > bound.pids)
      return "pids";
    return asked.disk_bytes > bound.disk_bytes ? "disk" : "";
  };
  if (auto name = over(least, most); !name.empty())
    return refuse("default_" + name + " is more than max_" + name);
  for (const auto& [name, kind] : all.worker.flavors)
    if (auto limit = over(kind.limits, most); !limit.empty())
      return refuse("flavors." + name + "." + limit + " is more than max_" + limit);
  if (all.worker.max_ttl.count() != 0 && all.worker.default_ttl > all.worker.max_ttl)
    return refuse("default_ttl is more than max_ttl");
  if (all.worker.max_sandboxes > runtime::uid_slots)
    return refuse("max_sandboxes is more than " + std::to_string(runtime::uid_slots));
  constexpr auto last_uid = 0xffff'fffeull; // the one after it means "none"
  if (all.uid_base + std::uint64_t{runtime::uid_slots} * 65536 > last_uid)
    return refuse("uid_base leaves no room for the user ids of " + std::to_string(runtime::uid_slots) +
                  " sandboxes");
  if (all.docker_socket.empty() &&
      (all.worker.runtimes.usual == "docker" || all.worker.runtimes.docker_socket))
    return refuse("docker_socket is needed for what is said of Docker");
  if (auto good = http::platform::check(all.platform); !good)
    return good;
  const auto& cluster = all.cluster;
  if (cluster.listen && (cluster.certificate.empty() || cluster.key.empty() || cluster.authority.empty()))
    return refuse("cluster_certificate, cluster_key and cluster_authority are needed with cluster_listen");
  if (!cluster.listen && (!cluster.join.empty() || cluster.role != node_role::all))
    return refuse("cluster_listen is needed for a node of a cluster");
  if (cluster.role == node_role::controller &&
      std::ranges::any_of(all.models,
                          [](const model_settings& each) { return each.containers || each.agent; }))
    return refuse(
        "models of containers and of agents need a node that holds sandboxes, and this one is a controller");
  if (cluster.listen && cluster.advertise.empty() &&
      boost::asio::ip::make_address(cluster.listen->host).is_unspecified())
    return refuse("cluster_advertise is needed when cluster_listen is every address of the machine");
  if (all.platform.active() && !all.platform_relay.empty())
    return refuse("platform_relay and the services of platform exclude each other: both answer at the "
                  "platform's names");
  if (auto keys = http::key_ring::load(all.api_keys); !keys)
    return refuse("api_keys: " + text_of(keys.error()));
  return caf::unit;
}

std::string list_text(const std::vector<std::string>& all) {
  std::string text = "[";
  for (const auto& each : all)
    text += (text.size() == 1 ? "" : ", ") + json_quoted(each);
  return text + "]";
}

/// Variables may be secrets: they are not shown.
void write_containers(std::ostream& out, const model_containers& what) {
  out << "containers = { image = " << json_quoted(what.image) << ", port = " << what.port
      << ", warm = " << what.warm << ", most = " << what.most << ", at_once = " << what.at_once
      << ", most_served = " << what.most_served << ", max_age = \"" << what.max_age.count()
      << "s\", timeout = \"" << what.timeout.count() << "s\"";
  if (!what.command.empty())
    out << ", command = " << list_text(what.command);
  if (!what.flavor.empty())
    out << ", flavor = " << json_quoted(what.flavor);
  if (what.limits.memory_bytes != 0)
    out << ", memory = \"" << what.limits.memory_bytes << '"';
  if (what.limits.cpu_millis != 0)
    out << ", cpu = \"" << print_cores(what.limits.cpu_millis) << "\"";
  out << " }\n";
  if (!what.env.empty())
    out << "# env is set and not shown\n";
}

std::string show(const config& all, const sources& from) {
  std::ostringstream out;
  std::string_view group;
  for (const auto& one : settings()) {
    if (one.group != group) {
      out << (group.empty() ? "" : "\n") << "# " << one.group << '\n';
      group = one.group;
    }
    auto source = from.find(one.name);
    auto text = one.get(all);
    if (one.secret && source != from.end())
      out << "# " << one.name << " is set and not shown";
    else
      out << one.name << " = " << (one.number ? text : json_quoted(text));
    out << "  # " << (source == from.end() ? "default" : source->second) << '\n';
  }
  out << "\n# Keys\n";
  for (const auto& key : all.api_keys)
    out << "# tenant " << json_quoted(key.tenant.value) << ": a key that is not shown"
        << (key.admin ? ", an administrator's" : "") << '\n';
  for (const auto& [name, kind] : all.worker.flavors) {
    out << "\n[flavors." << json_quoted(name) << "]\nimage = " << json_quoted(kind.image) << '\n';
    if (kind.limits.memory_bytes)
      out << "memory = " << json_quoted(print_size(kind.limits.memory_bytes)) << '\n';
    if (kind.limits.cpu_millis)
      out << "cpu = " << json_quoted(print_cores(kind.limits.cpu_millis)) << '\n';
    if (kind.limits.pids)
      out << "pids = " << kind.limits.pids << '\n';
    if (kind.limits.disk_bytes)
      out << "disk = " << json_quoted(print_size(kind.limits.disk_bytes)) << '\n';
    if (kind.warm)
      out << "warm = " << kind.warm << '\n';
    if (kind.warm_max)
      out << "warm_max = " << kind.warm_max << '\n';
  }
  if (const auto& aliases = all.worker.images.aliases(); !aliases.empty()) {
    out << "\n[image_aliases]\n";
    for (const auto& [alias, means] : aliases)
      out << json_quoted(alias) << " = " << json_quoted(means) << '\n';
  }
  for (const auto& [tenant, limits] : all.tenants) {
    out << "\n[tenants." << json_quoted(tenant.value) << "]\n";
    for (const auto& field : limit_fields)
      out << field.name << " = "
          << (field.is_size ? json_quoted(print_size(limits.*field.value))
                            : std::to_string(limits.*field.value))
          << '\n';
  }
  for (const auto& hook : all.webhooks) {
    out << "\n[[webhook]]\nurl = " << json_quoted(hook.url) << "\n# secret is set and not shown\n";
    if (!hook.tenant.value.empty())
      out << "tenant = " << json_quoted(hook.tenant.value) << '\n';
    std::string types;
    for (auto type : hook.events)
      types += (types.empty() ? "" : ", ") + json_quoted(to_string(type));
    if (!types.empty())
      out << "events = [" << types << "]\n";
    if (hook.allow_private)
      out << "allow_private = true\n";
  }
  for (const auto& model : all.models) {
    out << "\n[[models]]\nid = " << json_quoted(model.id) << "\nowned_by = " << json_quoted(model.owned_by)
        << '\n';
    if (!model.urls.empty())
      out << "urls = " << list_text(model.urls) << '\n';
    if (model.containers)
      write_containers(out, *model.containers);
    if (model.agent)
      out << "agent = { agent = " << json_quoted(model.agent->agent)
          << ", model = " << json_quoted(model.agent->model)
          << ", flavor = " << json_quoted(model.agent->flavor)
          << ", base_url = " << json_quoted(model.agent->base_url) << ", max_duration = \""
          << model.agent->limit.count() << "s\" }\n";
    if (!model.aliases.empty())
      out << "aliases = " << list_text(model.aliases) << '\n';
    for (auto [name, text] : {std::pair{"fallback_url", &model.fallback_url},
                              {"upstream_name", &model.upstream_name},
                              {"api_key_env", &model.api_key_env},
                              {"api_key_file", &model.api_key_file}})
      if (!text->empty())
        out << name << " = " << json_quoted(*text) << '\n';
    if (model.hedge_after.count() > 0)
      out << "hedge_after = \"" << print_duration(model.hedge_after) << "\"\n";
    if (!model.api_key.empty())
      out << "# api_key is set and not shown\n";
  }
  show_platform(out, all.platform);
  return out.str();
}

/// Models whose addresses are named by variables that other programs know, too; the file's come first.
template <class Variable>
void add_named_models(config& into, Variable variable) {
  struct {
    const char* id;
    std::vector<std::string> aliases;
    std::vector<const char*> variables; ///< the first that is set counts
  } known[]{{"baseline-cli-agent",
             {"baseline-agent-cli", "agent-cli"},
             {"COMPETITOR_URL", "BASELINE_AGENT_CLI_URL", "BASELINE_URL", "JANUS_BASELINE_URL"}},
            {"baseline-langchain", {"langchain"}, {"BASELINE_LANGCHAIN_URL"}}};
  for (const auto& each : known) {
    auto named = [&](const model_settings& one) { return one.id == each.id; };
    auto set = std::find_if(each.variables.begin(), each.variables.end(), variable);
    if (set == each.variables.end() || std::any_of(into.models.begin(), into.models.end(), named))
      continue;
    model_settings made;
    made.id = each.id;
    made.urls = {*variable(*set)};
    made.owned_by = "janus";
    made.aliases = each.aliases;
    into.models.push_back(std::move(made));
  }
}

/// The flags as given, not yet understood.
struct flags {
  std::map<std::string_view, std::string> values; ///< by the setting's name; filled by CLI11
  std::string file;
  bool print = false;
};

void declare(CLI::App& app, flags& into, const std::string& version) {
  const config defaults;
  app.set_version_flag("--version", "sandyd " + version, "Print the version and exit");
  app.add_option("--config", into.file,
                 "TOML file to read (SANDY_CONFIG; default /etc/sandy/sandy.toml if it exists)")
      ->type_name("PATH");
  app.add_flag("--print-config", into.print,
               "Print what the configuration comes to, without secrets, and exit");
  for (const auto& one : settings()) {
    auto& text = into.values[one.name];
    auto* option =
        one.boolean
            ? app.add_flag(one.flag(), text, std::string(one.help))
            : app.add_option(one.flag(), text, std::string(one.help))->type_name(std::string(one.type));
    auto initial = one.get(defaults);
    if (!one.boolean && !initial.empty())
      option->default_str(initial);
    option->group(std::string(one.group));
  }
  app.footer("Every setting is also a variable and a key of the file: --data-dir, SANDY_DATA_DIR, data_dir.\n"
             "Flags win over the environment, the environment over the file. Sizes: 512Mi, 4Gi. Durations: "
             "30s, 10m, 3h.");
}

} // namespace

configured read_configuration(const std::vector<std::string>& arguments,
                              const std::map<std::string, std::string>& environment, std::string_view version,
                              const std::string& default_file) {
  auto wrong = [](std::string sentence) {
    return configured{std::nullopt, 2, "sandyd: " + std::move(sentence) + "\n"};
  };
  // A variable that is set to nothing is how many tools spell "not set".
  auto variable = [&environment](const std::string& name) -> const std::string* {
    auto found = environment.find(name);
    return found == environment.end() || found->second.empty() ? nullptr : &found->second;
  };

  CLI::App app("Sandy gives programs real computers to use: sandboxes over HTTP.", "sandyd");
  flags given;
  declare(app, given, std::string(version));
  try {
    app.parse(
        std::vector<std::string>(arguments.rbegin(), arguments.rend())); // CLI11 takes them from the back
  } catch (const CLI::ParseError& ended) {
    std::ostringstream out, err;
    if (app.exit(ended, out, err) == 0)
      return {std::nullopt, 0, out.str()};
    return wrong(ended.what());
  }

  config all;
  sources from;
  tenant_changes tenants;
  std::string file = given.file;
  if (file.empty() && variable("SANDY_CONFIG"))
    file = *variable("SANDY_CONFIG");
  std::error_code ignored;
  if (file.empty() && std::filesystem::exists(default_file, ignored))
    file = default_file;
  if (!file.empty())
    if (auto done = apply_file(all, tenants, file, from); !done)
      return wrong(text_of(done.error()));
  for (const auto& one : settings())
    if (auto* text = variable(one.variable()))
      if (auto done = apply(all, one, *text, one.variable(), from); !done)
        return wrong(text_of(done.error()));
  for (const auto& one : settings())
    if (app.count(one.flag()) > 0)
      if (auto done = apply(all, one, given.values[one.name], one.flag(), from); !done)
        return wrong(text_of(done.error()));
  apply_tenants(all, tenants);
  apply_prewarm(all);
  if (all.cluster.role == node_role::controller) { // it holds no sandboxes, and none for later
    for (auto& each : all.worker.flavors)
      each.second.warm = each.second.warm_max = 0;
    all.prewarm_agent_ready = 0;
  }
  add_named_models(all, variable);
  if (!all.api_key.empty())
    all.api_keys.insert(all.api_keys.begin(), {{"default"}, all.api_key});
  if (auto done = check(all); !done)
    return wrong(text_of(done.error()));
  all.worker.data_dir = all.data_dir;
  if (given.print)
    return {std::nullopt, 0, show(all, from)};
  return {std::move(all), 0, {}};
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    std::string_view text(*entry);
    if (auto equals = text.find('='); equals != std::string_view::npos)
      all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

std::string program_path(const std::string& chosen, std::string_view name) {
  if (!chosen.empty())
    return chosen;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

} // namespace sandy
