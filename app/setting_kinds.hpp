#pragma once

#include "app/settings.hpp"
#include "app/units.hpp"
#include "messages/network_rule.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>

// The kinds of values that settings have: how each is written. `parse` returns a result, `print` is its
// inverse.

namespace sandy {

inline caf::error wrong(std::string text) { return fail(errc::invalid_argument, std::move(text)); }

struct text_kind {
  static constexpr std::string_view type = "TEXT";
  static result<std::string> parse(std::string_view text) { return std::string(text); }
  static std::string print(const std::string& value) { return value; }
};

struct runtime_kind : text_kind {
  static result<std::string> parse(std::string_view text) {
    if (text == "crun" || text == "docker")
      return std::string(text);
    return wrong("is neither crun nor docker");
  }
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

/// A second address to listen on, or none.
struct optional_listen_kind {
  static constexpr std::string_view type = listen_kind::type;
  static result<std::optional<listen_address>> parse(std::string_view text) {
    if (text.empty())
      return std::optional<listen_address>{};
    auto value = listen_kind::parse(text);
    if (!value)
      return std::move(value.error());
    return std::optional<listen_address>{std::move(*value)};
  }
  static std::string print(const std::optional<listen_address>& value) {
    return value ? listen_kind::print(*value) : std::string{};
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

/// Money, in whatever the prices are in; 0 means that it is not limited.
struct amount_kind {
  static constexpr std::string_view type = "AMOUNT";
  static result<http::platform::micros> parse(std::string_view text) {
    return http::platform::parse_amount(text);
  }
  static std::string print(http::platform::micros value) { return http::platform::print_amount(value); }
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

inline constexpr std::string_view network_words[]{"none", "platform", "internet"};
struct network_mode_kind : word_kind<network_mode, network_words> {
  static constexpr std::string_view type = "MODE";
};

inline constexpr std::string_view pull_words[]{"never", "missing"};
struct image_pull_kind : word_kind<image_pull_policy, pull_words> {
  static constexpr std::string_view type = "never|missing";
};

inline constexpr std::string_view role_words[]{"all", "controller", "worker"};
struct role_kind : word_kind<node_role, role_words> {
  static constexpr std::string_view type = "ROLE";
};

/// How a node is called: what may stand in a certificate, a label and a URL.
struct node_name_kind : text_kind {
  static constexpr std::string_view type = "NAME";
  static bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 63 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
  }
  static result<std::string> parse(std::string_view text) {
    if (!text.empty() && !is_name(text))
      return wrong("is no name of lower-case letters, digits, dots and hyphens, at most 63 of them");
    return std::string(text);
  }
};

inline constexpr std::string_view level_words[]{"trace", "debug", "info", "warn", "error"};
struct level_kind : word_kind<log_level, level_words> {
  static constexpr std::string_view type = "LEVEL";
};

inline constexpr std::string_view format_words[]{"json", "text"};
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

/// The way from a config to a value, for `make`.
#define FIELD(path) [](auto& c) -> auto& { return c.path; }

// The settings by subject, in the order of the documentation: each appends its own.

void add_server_settings(std::vector<setting>& all);
void add_cluster_settings(std::vector<setting>& all);
void add_sandbox_settings(std::vector<setting>& all);
void add_network_settings(std::vector<setting>& all);
void add_service_settings(std::vector<setting>& all);

} // namespace sandy
