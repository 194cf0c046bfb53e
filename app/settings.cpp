#include "app/settings.hpp"

#include "app/units.hpp"
#include "messages/network_rule.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace sandy {

namespace {

caf::error wrong(std::string text) { return fail(errc::invalid_argument, std::move(text)); }

// A kind of value: how it is written. `parse` returns a result, `print` is its inverse.

struct text_kind {
  static constexpr std::string_view type = "TEXT";
  static result<std::string> parse(std::string_view text) { return std::string(text); }
  static std::string print(const std::string& value) { return value; }
};

struct path_kind : text_kind {
  static constexpr std::string_view type = "PATH";
};

struct directory_kind {
  static constexpr std::string_view type = "PATH";
  static result<std::string> parse(std::string_view text) {
    if (text.empty())
      return wrong("is empty");
    auto path = std::filesystem::absolute(text).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).string(); // one spelling per directory
  }
  static std::string print(const std::string& value) { return value; }
};

struct boolean_kind {
  static constexpr std::string_view type = "BOOL";
  static result<bool> parse(std::string_view text) {
    if (text == "true" || text == "1")
      return true;
    if (text == "false" || text == "0")
      return false;
    return wrong("is neither true nor false");
  }
  static std::string print(bool value) { return value ? "true" : "false"; }
};

template <std::uint32_t Least>
struct count_kind {
  static constexpr std::string_view type = "NUMBER";
  static result<std::uint32_t> parse(std::string_view text) {
    auto value = parse_count(text);
    if (value && *value < Least)
      return wrong("is less than " + std::to_string(Least));
    return value;
  }
  static std::string print(std::uint32_t value) { return std::to_string(value); }
};

struct size_kind {
  static constexpr std::string_view type = "SIZE";
  static result<std::uint64_t> parse(std::string_view text) {
    auto value = parse_size(text);
    if (value && *value == 0)
      return wrong("is zero");
    return value;
  }
  static std::string print(std::uint64_t value) { return print_size(value); }
};

/// What a tenant may use; 0 means that it is not limited.
struct limit_kind {
  static constexpr std::string_view type = "NUMBER";
  static result<std::uint64_t> parse(std::string_view text) {
    auto value = parse_count(text);
    if (!value)
      return std::move(value.error());
    return std::uint64_t{*value};
  }
  static std::string print(std::uint64_t value) { return std::to_string(value); }
};

struct size_limit_kind {
  static constexpr std::string_view type = "SIZE";
  static result<std::uint64_t> parse(std::string_view text) { return parse_size(text); }
  static std::string print(std::uint64_t value) { return print_size(value); }
};

/// A size that is held in 32 bits.
struct small_size_kind {
  static constexpr std::string_view type = "SIZE";
  static result<std::uint32_t> parse(std::string_view text) {
    auto value = size_kind::parse(text);
    if (!value)
      return std::move(value.error());
    if (*value > 64ull << 20)
      return wrong("is more than 64Mi");
    return static_cast<std::uint32_t>(*value);
  }
  static std::string print(std::uint32_t value) { return print_size(value); }
};

struct cores_kind {
  static constexpr std::string_view type = "CORES";
  static result<std::uint32_t> parse(std::string_view text) {
    auto value = parse_cores(text);
    if (value && *value < 10)
      return wrong("is less than a hundredth of a core");
    return value;
  }
  static std::string print(std::uint32_t value) { return print_cores(value); }
};

/// How many times over something may be promised; thousandths. 0 means that it is not bounded.
struct factor_kind {
  static constexpr std::string_view type = "FACTOR";
  static result<std::uint32_t> parse(std::string_view text) {
    auto value = parse_cores(text);
    if (!value || text.ends_with('m'))
      return wrong("is not a factor such as 32 or 1.5");
    return value;
  }
  static std::string print(std::uint32_t value) {
    auto text = std::to_string(value / 1000);
    if (value % 1000 != 0) {
      auto rest = std::to_string(1000 + value % 1000).substr(1);
      text += "." + rest.substr(0, rest.find_last_not_of('0') + 1);
    }
    return text;
  }
};

/// Cores that must be idle; 0: none.
struct idle_cores_kind {
  static constexpr std::string_view type = "CORES";
  static result<std::uint32_t> parse(std::string_view text) { return parse_cores(text); }
  static std::string print(std::uint32_t value) { return print_cores(value); }
};

template <class Duration, bool ZeroAllowed>
struct duration_kind {
  static constexpr std::string_view type = "DURATION";
  static result<Duration> parse(std::string_view text) {
    auto value = parse_duration(text);
    if (!value)
      return std::move(value.error());
    auto converted = std::chrono::duration_cast<Duration>(*value);
    if (converted != *value)
      return wrong("is not a whole number of seconds");
    if (!ZeroAllowed && converted.count() == 0)
      return wrong("is zero");
    return converted;
  }
  static std::string print(Duration value) { return print_duration(value); }
};
using timeout_kind = duration_kind<std::chrono::milliseconds, false>;

struct listen_kind {
  static constexpr std::string_view type = "ADDRESS:PORT";
  static result<listen_address> parse(std::string_view text) {
    auto refused = [] { return wrong("is not an address and a port such as 127.0.0.1:7330 or [::1]:7330"); };
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
      return refused();
    auto host = text.substr(0, colon);
    bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed)
      host = host.substr(1, host.size() - 2);
    boost::system::error_code failed;
    auto address = boost::asio::ip::make_address(host, failed);
    auto port = parse_count(text.substr(colon + 1));
    if (failed || address.is_v6() != bracketed || !port || *port > 65535)
      return refused();
    return listen_address{std::string(host), static_cast<std::uint16_t>(*port)};
  }
  static std::string print(const listen_address& value) {
    bool v6 = value.host.find(':') != std::string::npos;
    return (v6 ? "[" + value.host + "]" : value.host) + ":" + std::to_string(value.port);
  }
};

struct public_port_kind {
  static constexpr std::string_view type = "PORT";
  static result<std::optional<std::uint16_t>> parse(std::string_view text) {
    if (text == "auto")
      return std::optional<std::uint16_t>();
    auto port = parse_count(text);
    if (!port || *port > 65535)
      return wrong("is neither a port nor auto");
    return std::optional(static_cast<std::uint16_t>(*port));
  }
  static std::string print(std::optional<std::uint16_t> value) {
    return value ? std::to_string(*value) : "auto";
  }
};

struct scheme_kind {
  static constexpr std::string_view type = "http|https";
  static result<std::string> parse(std::string_view text) {
    if (text != "http" && text != "https")
      return wrong("is neither http nor https");
    return std::string(text);
  }
  static std::string print(const std::string& value) { return value; }
};

struct list_kind {
  static constexpr std::string_view type = "LIST";
  static result<std::vector<std::string>> parse(std::string_view text) {
    std::vector<std::string> all;
    while (!text.empty()) {
      auto comma = text.find(',');
      auto item = text.substr(0, comma);
      while (item.starts_with(' '))
        item.remove_prefix(1);
      while (item.ends_with(' '))
        item.remove_suffix(1);
      if (!item.empty())
        all.emplace_back(item);
      text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return all;
  }
  static std::string print(const std::vector<std::string>& value) {
    std::string text;
    for (const auto& item : value)
      text += (text.empty() ? "" : ",") + item;
    return text;
  }
};

/// Destinations, as sandboxes' network policies name them.
struct destinations_kind : list_kind {
  static result<std::vector<std::string>> parse(std::string_view text) {
    auto all = list_kind::parse(text);
    if (auto rules = parse_network_rules(*all); !rules)
      return wrong("has an entry that is no destination: " + text_of(rules.error()));
    return all;
  }
};

/// The same, without names: what a name stands for is said by whoever owns it.
struct addresses_kind : list_kind {
  static constexpr std::string_view type = "ADDRESSES";
  static result<std::vector<std::string>> parse(std::string_view text) {
    auto all = list_kind::parse(text);
    auto rules = parse_network_rules(*all);
    if (!rules || std::any_of(rules->begin(), rules->end(), [](const auto& rule) { return rule.by_name(); }))
      return wrong("has an entry that is no address and no range such as 10.1.0.0/16");
    return all;
  }
};

/// Name servers: addresses, each with an optional port.
struct servers_kind : list_kind {
  static constexpr std::string_view type = "ADDRESSES";
  static result<std::vector<std::string>> parse(std::string_view text) {
    auto all = list_kind::parse(text);
    for (const auto& each : *all) {
      auto rule = parse_network_rule(each);
      if (!rule || rule->by_name() || rule->prefix != 128)
        return wrong("has an entry that is neither an address nor an address and a port");
    }
    return all;
  }
};

/// Ends of host names; the first is the one that is told.
struct host_suffixes_kind {
  static constexpr std::string_view type = "SUFFIX";
  static result<std::vector<std::string>> parse(std::string_view text) {
    auto all = list_kind::parse(text);
    if (!all)
      return all;
    if (all->empty())
      return wrong("is empty");
    for (auto& suffix : *all) {
      if (!suffix.starts_with('.'))
        suffix.insert(suffix.begin(), '.');
      std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      bool legal = suffix.size() > 1 && suffix.size() < 200 && suffix.back() != '.' &&
                   suffix.find("..") == std::string::npos &&
                   suffix.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos;
      if (!legal)
        return wrong("is not the end of a host name such as .sandy.example.com");
    }
    return all;
  }
  static std::string print(const std::vector<std::string>& value) { return list_kind::print(value); }
};

/// The words of an enum, in its order.
template <class Enum, const auto& Words>
struct word_kind {
  static result<Enum> parse(std::string_view text) {
    auto found = std::find(std::begin(Words), std::end(Words), text);
    if (found != std::end(Words))
      return static_cast<Enum>(found - std::begin(Words));
    std::string all;
    for (auto word : Words)
      all += (all.empty() ? "" : ", ") + std::string(word);
    return wrong("is not one of " + all);
  }
  static std::string print(Enum value) { return std::string(Words[static_cast<std::size_t>(value)]); }
};

constexpr std::string_view network_words[]{"none", "platform", "internet"};
struct network_mode_kind : word_kind<network_mode, network_words> {
  static constexpr std::string_view type = "MODE";
};

constexpr std::string_view level_words[]{"trace", "debug", "info", "warn", "error"};
struct level_kind : word_kind<log_level, level_words> {
  static constexpr std::string_view type = "LEVEL";
};

constexpr std::string_view format_words[]{"json", "text"};
struct format_kind : word_kind<log_format, format_words> {
  static constexpr std::string_view type = "json|text";
};

/// @param field leads from a config to the value: `[](auto& c) -> auto& { return c.data_dir; }`.
template <class Kind, class Field>
setting make(std::string_view name, std::string_view group, Field field, std::string_view help) {
  setting made;
  made.name = name;
  made.group = group;
  made.type = Kind::type;
  made.help = help;
  made.boolean = std::is_same_v<Kind, boolean_kind>;
  made.number = made.boolean || Kind::type == "NUMBER";
  made.set = [field](config& into, std::string_view text) -> result<void> {
    auto value = Kind::parse(text);
    if (!value)
      return std::move(value.error());
    field(into) = std::move(*value);
    return caf::unit;
  };
  made.get = [field](const config& from) { return Kind::print(field(from)); };
  return made;
}

std::vector<setting> make_settings() {
  using std::chrono::milliseconds, std::chrono::seconds;
#define FIELD(path) [](auto& c) -> auto& { return c.path; }
  std::vector<setting> all;
  auto group = std::string_view("Server");
  all.push_back(make<listen_kind>("listen", group, FIELD(listen),
                                  "Where to accept connections; port 0 lets the kernel choose"));
  all.push_back(make<directory_kind>(
      "data_dir", group, FIELD(data_dir),
      "What must survive a restart: the store and the sandboxes' state; one server per directory"));
  all.push_back(
      make<directory_kind>("image_dir", group, FIELD(image_dir), "The image store; servers may share it"));
  all.push_back(make<count_kind<0>>("threads", group, FIELD(threads),
                                    "Threads that serve requests; 0 means one per core"));
  all.push_back(
      make<duration_kind<milliseconds, true>>("shutdown_grace", group, FIELD(shutdown_grace),
                                              "How long running requests may go on after a request to stop. "
                                              "Agent runs are ended at once, and their readers told"));
  all.push_back(make<boolean_kind>(
      "end_sandboxes", group, FIELD(end_sandboxes),
      "End all sandboxes when the server is told to stop; else the next server takes them over"));

  group = "Access";
  all.push_back(make<text_kind>(
      "api_key", group, FIELD(api_key),
      "The key of the tenant \"default\", or sha256: and its digest; without any key one is made "
      "at the first start and kept in data_dir"));
  all.back().type = "KEY";
  all.back().secret = true;
  all.push_back(make<boolean_kind>("open", group, FIELD(open),
                                   "Serve everybody without a key, as the tenant \"default\""));
  all.push_back(
      make<list_kind>("cors_origins", group, FIELD(cors_origins),
                      "Origins whose pages may call the API, separated by commas; none given means all"));

  group = "Public address";
  all.push_back(make<scheme_kind>("public_scheme", group, FIELD(public_scheme),
                                  "Scheme of the sandboxes' public URLs"));
  all.push_back(make<host_suffixes_kind>(
      "host_suffix", group, FIELD(host_suffixes),
      "What follows a sandbox's id in its host name; a missing leading dot is added. "
      "Of several, separated by commas, URLs show the first"));
  all.push_back(make<public_port_kind>(
      "public_port", group, FIELD(public_port),
      "Port in public URLs; auto is the port of listen, and 0, 80 and 443 are not shown"));
  all.push_back(make<boolean_kind>("port_listeners", group, FIELD(port_listeners),
                                   "Listen on the ports that sandboxes expose, at the address of listen"));

  group = "Sandboxes";
  all.push_back(make<size_kind>("default_memory", group, FIELD(worker.default_limits.memory_bytes),
                                "Memory of a sandbox that asks for none"));
  all.push_back(make<cores_kind>("default_cpu", group, FIELD(worker.default_limits.cpu_millis),
                                 "CPU cores of a sandbox that asks for none"));
  all.push_back(make<count_kind<8>>("default_pids", group, FIELD(worker.default_limits.pids),
                                    "Processes and threads of a sandbox that asks for none"));
  all.push_back(make<size_kind>("default_disk", group, FIELD(worker.default_limits.disk_bytes),
                                "Disk of a sandbox that asks for none, beyond its image"));
  all.push_back(make<size_kind>("max_memory", group, FIELD(worker.max_limits.memory_bytes),
                                "Most memory a sandbox gets; more is cut to it"));
  all.push_back(make<cores_kind>("max_cpu", group, FIELD(worker.max_limits.cpu_millis),
                                 "Most CPU cores a sandbox gets"));
  all.push_back(make<count_kind<8>>("max_pids", group, FIELD(worker.max_limits.pids),
                                    "Most processes and threads a sandbox gets"));
  all.push_back(
      make<size_kind>("max_disk", group, FIELD(worker.max_limits.disk_bytes), "Most disk a sandbox gets"));
  all.push_back(make<duration_kind<seconds, false>>("default_ttl", group, FIELD(worker.default_ttl),
                                                    "Lifetime of a sandbox that asks for none"));
  all.push_back(make<duration_kind<seconds, true>>("max_ttl", group, FIELD(worker.max_ttl),
                                                   "Longest lifetime; more is cut to it, 0 means no limit"));
  all.push_back(make<duration_kind<seconds, true>>(
      "max_lifetime", group, FIELD(worker.max_lifetime),
      "Age at which a sandbox ends, however often it is renewed; 0 means no limit"));
  all.push_back(make<duration_kind<seconds, true>>(
      "default_idle_timeout", group, FIELD(worker.default_idle_timeout),
      "A sandbox that asks for none and is unused for this long ends; 0 means it may be"));
  all.push_back(make<count_kind<1>>("max_sandboxes", group, FIELD(worker.max_sandboxes),
                                    "Sandboxes alive at once; beyond, creations wait"));
  all.push_back(make<count_kind<1>>("create_concurrency", group, FIELD(worker.create_concurrency),
                                    "Sandboxes made at a time; the others wait for their turn"));
  all.push_back(make<count_kind<0>>("create_queue", group, FIELD(worker.create_queue),
                                    "Creations that may wait for room or for their turn; beyond, they are "
                                    "refused at once"));
  all.push_back(make<duration_kind<milliseconds, true>>(
      "create_wait", group, FIELD(worker.create_wait),
      "How long a creation waits for room and for its turn; then it is refused. 0 refuses at once"));
  all.push_back(make<timeout_kind>("guest_lease", group, FIELD(worker.guest_lease),
                                   "A sandbox that hears from no server for this long ends itself"));

  group = "Room";
  all.push_back(make<factor_kind>("memory_overcommit", group, FIELD(worker.room.memory_overcommit),
                                  "The sandboxes' memory limits together may be so many times the machine's "
                                  "memory; here and below, 0 means any number of times"));
  all.push_back(
      make<factor_kind>("cpu_overcommit", group, FIELD(worker.room.cpu_overcommit), "The same for cores"));
  all.push_back(make<factor_kind>("pids_overcommit", group, FIELD(worker.room.pids_overcommit),
                                  "The same for processes and threads"));
  all.push_back(make<factor_kind>("disk_overcommit", group, FIELD(worker.room.disk_overcommit),
                                  "The same for the disk that holds data_dir"));
  all.push_back(make<size_limit_kind>("memory_reserve", group, FIELD(worker.room.memory_reserve),
                                      "While less memory is available, nothing is created and preemptable "
                                      "sandboxes are ended; here and below, 0 means that nobody looks"));
  all.push_back(make<idle_cores_kind>("cpu_reserve", group, FIELD(worker.room.cpu_reserve),
                                      "While fewer cores are idle, nothing is created"));
  all.push_back(make<count_kind<0>>("pids_reserve", group, FIELD(worker.room.pids_reserve),
                                    "While the machine can have fewer more processes, nothing is created"));
  all.push_back(make<size_limit_kind>("disk_reserve", group, FIELD(worker.room.disk_reserve),
                                      "While less disk is free, nothing is created"));

  group = "Warm pools";
  all.push_back(make<count_kind<0>>(
      "prewarm_count", group, FIELD(prewarm_count),
      "Sandboxes kept ready for callers, in all; those of no other flavor are \"basic\""));
  all.push_back(make<count_kind<0>>("prewarm_basic", group, FIELD(prewarm_basic),
                                    "Sandboxes of the flavor \"basic\" kept ready, at least"));
  all.push_back(make<count_kind<0>>("prewarm_agent_ready", group, FIELD(prewarm_agent_ready),
                                    "Sandboxes of the flavor \"agent-ready\" kept ready, at least"));
  all.push_back(make<count_kind<1>>("pool_refill_rate", group, FIELD(worker.pool_refill_rate),
                                    "Warm sandboxes made per second and flavor, at most"));
  all.push_back(make<duration_kind<seconds, false>>("pool_max_age", group, FIELD(worker.pool_max_age),
                                                    "A warm sandbox that is older is replaced"));

  group = "Snapshots";
  all.push_back(make<count_kind<0>>("max_snapshots", group, FIELD(worker.max_snapshots),
                                    "Snapshots that a tenant may have"));

  group = "Images";
  all.push_back(make<size_kind>("max_image", group, FIELD(max_image_bytes),
                                "Size of an image that is imported: of its archive without compression, and "
                                "of what it unpacks to"));
  all.push_back(
      make<list_kind>("image_import_dirs", group, FIELD(image_import_dirs),
                      "Directories, separated by commas, whose archives an administrator may import "
                      "by their path; none given means none"));

  group = "Children";
  all.push_back(make<count_kind<0>>("child_max_alive", group, FIELD(worker.children.max_alive),
                                    "Sandboxes alive at once that one sandbox created"));
  all.push_back(make<count_kind<0>>("child_max_per_hour", group, FIELD(worker.children.max_per_hour),
                                    "Sandboxes that one sandbox creates in any 60 minutes"));
  all.push_back(make<count_kind<0>>("child_max_depth", group, FIELD(worker.children.max_depth),
                                    "Generations below a sandbox that no sandbox created"));
  all.push_back(make<duration_kind<seconds, false>>("child_default_ttl", group,
                                                    FIELD(worker.children.default_ttl),
                                                    "Lifetime of a child that asks for none"));
  all.push_back(make<duration_kind<seconds, false>>("child_max_ttl", group, FIELD(worker.children.max_ttl),
                                                    "Longest lifetime of a child; more is cut to it"));

  group = "Connections";
  all.push_back(make<count_kind<0>>("sandbox_connections", group, FIELD(worker.max_connections),
                                    "Other sandboxes that one sandbox reaches, at most; 0 means none"));

  group = "Network";
  all.push_back(make<network_mode_kind>("network", group, FIELD(worker.default_network),
                                        "What a sandbox reaches that asks for nothing: none (this API), "
                                        "platform (what the installation relays, "
                                        "too) or internet"));
  all.push_back(make<network_mode_kind>("network_max_mode", group, FIELD(worker.max_network),
                                        "Most that any sandbox reaches, whatever it asks for"));
  all.push_back(make<destinations_kind>(
      "network_allow", group, FIELD(network_allow),
      "Destinations that sandboxes may reach, such as *.example.com:443 or 93.184.0.0/16; empty means "
      "everything public"));
  all.push_back(make<destinations_kind>("network_deny", group, FIELD(network_deny),
                                        "Destinations that no sandbox reaches, whatever else is allowed"));
  all.push_back(make<addresses_kind>(
      "network_private_allow", group, FIELD(network_private_allow),
      "Addresses that are not public and may be reached nevertheless, such as those of a mirror inside"));
  all.push_back(
      make<servers_kind>("network_dns", group, FIELD(network_dns),
                         "Name servers that are asked for sandboxes; empty means those of /etc/resolv.conf"));
  all.push_back(make<text_kind>(
      "platform_relay", group, FIELD(platform_relay),
      "IP:PORT that sandboxes reach as platform-proxy:8000 and platform:8000; empty means none"));
  all.push_back(make<boolean_kind>("platform_relay_named", group, FIELD(platform_relay_named),
                                   "Tell platform_relay which sandbox calls: its connections begin with a "
                                   "PROXY protocol header (version 2)"));
  all.push_back(make<text_kind>("network_ca_file", group, FIELD(network_ca_file),
                                "File of certificate authorities (PEM) that hosts of secrets are trusted by "
                                "besides the machine's; empty means none"));

  group = "Limits of a tenant";
  all.push_back(make<limit_kind>("tenant_requests_per_second", group,
                                 FIELD(tenant_defaults.requests_per_second),
                                 "Requests per second; here and below, 0 means no limit"));
  all.push_back(make<limit_kind>("tenant_request_burst", group, FIELD(tenant_defaults.request_burst),
                                 "Requests at once, after a pause; 0 means as many as in one second"));
  all.push_back(make<limit_kind>("tenant_creations_per_minute", group,
                                 FIELD(tenant_defaults.creations_per_minute),
                                 "Sandboxes created per minute"));
  all.push_back(make<limit_kind>("tenant_creations_per_hour", group,
                                 FIELD(tenant_defaults.creations_per_hour), "Sandboxes created per hour"));
  all.push_back(make<limit_kind>("tenant_sandboxes", group, FIELD(tenant_defaults.sandboxes),
                                 "Sandboxes alive at once"));
  all.push_back(make<limit_kind>("tenant_streams", group, FIELD(tenant_defaults.streams),
                                 "Commands, event streams and file transfers at once"));
  all.push_back(make<size_limit_kind>("tenant_memory", group, FIELD(tenant_defaults.memory_bytes),
                                      "Sum of the memory limits of the sandboxes alive"));

  group = "Agents";
  all.push_back(
      make<path_kind>("agents", group, FIELD(agents),
                      "Folder with their definitions; empty means agent-definitions beside the server"));
  all.push_back(
      make<text_kind>("agent_base_url", group, FIELD(worker.agents.base_url),
                      "The model's interface for runs that name none; empty means what the definition says"));
  all.push_back(make<text_kind>("agent_api_key", group, FIELD(worker.agents.api_key),
                                "The model's key for runs that bring none; the agent sees it"));
  all.back().type = "KEY";
  all.back().secret = true;

  all.push_back(make<list_kind>("agent_models", group, FIELD(agent_models),
                                "Models that GET /api/agents tells callers of, separated by commas; runs may "
                                "name any"));
  all.push_back(
      make<text_kind>("agent_relay", group, FIELD(agent_relay),
                      "IP:PORT that agents reach as 127.0.0.1:7331 of their sandbox, and their model's "
                      "interface unless something else is said; empty means none"));

  group = "Isolation";
  all.push_back(
      make<path_kind>("crun", group, FIELD(crun), "The crun program, searched in PATH when it has no slash"));
  all.push_back(make<path_kind>("guest", group, FIELD(guest),
                                "The sandy-guest program; empty means beside the server"));
  all.push_back(make<path_kind>("launcher", group, FIELD(launcher),
                                "The sandy-launch program; empty means beside the server"));
  all.push_back(make<path_kind>("copier", group, FIELD(copier),
                                "The sandy-copy-layer program; empty means beside the server"));
  all.push_back(make<path_kind>("import_helper", group, FIELD(import_helper),
                                "The sandy-import-image program; empty means beside the server"));
  all.push_back(make<text_kind>("cgroup_parent", group, FIELD(cgroup_parent),
                                "Control group that holds all sandboxes; empty derives one from data_dir"));
  all.push_back(make<count_kind<65536>>(
      "uid_base", group, FIELD(uid_base),
      "First host user id of sandboxes; each takes 65536 of them, which nobody else may use"));

  group = "Limits of the HTTP edge";
  all.push_back(
      make<small_size_kind>("max_header", group, FIELD(edge.header_bytes), "Request line and headers"));
  all.push_back(make<size_kind>("max_json_body", group, FIELD(edge.json_body_bytes),
                                "A JSON body; raw uploads have no limit but the sandbox's disk"));
  all.push_back(
      make<count_kind<1>>("max_connections", group, FIELD(edge.connections), "Connections open at once"));
  all.push_back(make<timeout_kind>("header_timeout", group, FIELD(edge.header_timeout),
                                   "From the first byte of a request to the end of its headers"));
  all.push_back(make<timeout_kind>("idle_timeout", group, FIELD(edge.idle_timeout),
                                   "Between two requests of a connection"));
  all.push_back(
      make<timeout_kind>("body_timeout", group, FIELD(edge.body_timeout), "Between two pieces of a body"));
  all.push_back(make<timeout_kind>("write_timeout", group, FIELD(edge.write_timeout),
                                   "Until a client that reads nothing is given up"));
  all.push_back(make<timeout_kind>("create_timeout", group, FIELD(edge.create_timeout),
                                   "Until a creation is given up"));
  all.push_back(make<timeout_kind>("control_timeout", group, FIELD(edge.control_timeout),
                                   "Until any other request, but for commands, is given up"));
  all.push_back(make<timeout_kind>("upstream_timeout", group, FIELD(edge.upstream_timeout),
                                   "Until an application in a sandbox must have begun to answer"));
  all.push_back(make<timeout_kind>("exec_timeout", group, FIELD(edge.exec_timeout),
                                   "Time a command has when its request names none"));
  all.push_back(make<size_kind>(
      "max_exec_output", group, FIELD(edge.exec_output_bytes),
      "Kept of a command's stdout and of its stderr in a JSON answer; the rest is cut, and said"));

  group = "Log";
  all.push_back(
      make<level_kind>("log_level", group, FIELD(level),
                       "Least important lines that are written: trace, debug, info, warn or error"));
  all.push_back(
      make<format_kind>("log_format", group, FIELD(format),
                        "JSON for programs, text for people; one line per event on standard error"));
#undef FIELD
  return all;
}

} // namespace

std::string setting::flag() const {
  std::string text = "--" + std::string(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

std::string setting::variable() const {
  std::string text = "SANDY_" + std::string(name);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

const std::vector<setting>& settings() {
  static const std::vector<setting> all = make_settings();
  return all;
}

const setting* find_setting(std::string_view name) {
  const auto& all = settings();
  auto found = std::find_if(all.begin(), all.end(), [name](const setting& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

} // namespace sandy
