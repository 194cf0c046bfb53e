#include "app/config_file.hpp"

#include "app/platform_service.hpp"
#include "app/settings.hpp"
#include "app/units.hpp"
#include "http/outbound/webhook_client.hpp"
#include "messages/image.hpp"
#include "messages/image_names.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

namespace sandy {

namespace {

/// Characters of a webhook's secret: what is shorter can be guessed from one signed event.
constexpr std::size_t least_secret = 16;

/// Carries a sentence out of the depth of a file; never leaves `read_config_file`.
struct mistake {
  std::string sentence;
};

class reader {
public:
  explicit reader(const std::string& path)
      : path_(path) {}

  config_file read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      auto name = key.str();
      if (name == "api_keys")
        read_keys(node);
      else if (name == "flavors")
        read_flavors(node);
      else if (name == "webhook")
        read_webhooks(node);
      else if (name == "models")
        read_models(node);
      else if (name == "tenants")
        read_tenants(node);
      else if (name == "image_aliases")
        read_aliases(node);
      else if (name == "platform")
        read_platform(node);
      else if (name == "platform_prices")
        read_prices(node);
      else if (auto* known = find_setting(name))
        read_.values[std::string(name)] = {text_of_value(*known, name, node), where(node)};
      else
        throw mistake{"Unknown setting \"" + std::string(name) + "\" in " + where(key)};
    }
    return std::move(read_);
  }

private:
  template <class Place>
  std::string where(const Place& place) const {
    return path_ + ", line " + std::to_string(place.source().begin.line);
  }

  mistake wrong(std::string_view name, const toml::node& node, const std::string& what) const {
    return {std::string(name) + " " + what + " (" + where(node) + ")"};
  }

  std::string text_of_value(const setting& known, std::string_view name, const toml::node& node) const {
    const auto is_list = known.type == "LIST" || known.type == "ADDRESSES" || known.type == "NODES";
    return is_list ? text_of_list(std::string(name), node) : scalar(name, node);
  }

  std::string scalar(std::string_view name, const toml::node& node) const {
    if (auto text = node.as_string())
      return text->get();
    if (auto number = node.as_integer())
      return std::to_string(number->get());
    if (auto truth = node.as_boolean())
      return truth->get() ? "true" : "false";
    if (auto real = node.as_floating_point()) {
      std::ostringstream digits;
      digits << real->get();
      return digits.str();
    }
    throw wrong(name, node, "is neither a text nor a number");
  }

  const toml::table& table(std::string_view name, const toml::node& node) const {
    if (auto* found = node.as_table())
      return *found;
    throw wrong(name, node, "is not a table");
  }

  void read_keys(const toml::node& node) {
    auto* list = node.as_array();
    if (!list)
      throw wrong("api_keys", node, "is not a list of tables: write [[api_keys]]");
    for (const auto& item : *list) {
      http::configured_key made;
      for (const auto& [key, value] : table("api_keys", item)) {
        auto text = scalar(key.str(), value);
        if (key.str() == "tenant")
          made.tenant.value = text;
        else if (key.str() == "key")
          made.secret = text;
        else if (key.str() == "sha256")
          made.secret = "sha256:" + text;
        else if (key.str() == "admin")
          made.admin = truth("admin", value);
        else
          throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of api_keys in " + where(key)};
      }
      if (made.tenant.value.empty() || made.secret.empty())
        throw wrong("api_keys", item, "needs a tenant, and a key or its sha256");
      read_.api_keys.push_back(std::move(made));
    }
  }

  void read_webhooks(const toml::node& node) {
    auto* list = node.as_array();
    if (!list)
      throw wrong("webhook", node, "is not a list of tables: write [[webhook]]");
    for (const auto& item : *list)
      read_.webhooks.push_back(read_webhook(item));
    for (auto one = read_.webhooks.begin(); one != read_.webhooks.end(); ++one)
      for (auto other = read_.webhooks.begin(); other != one; ++other)
        if (one->url == other->url && one->tenant == other->tenant)
          throw wrong("webhook", node, "has the same url and tenant twice");
  }

  webhook_settings read_webhook(const toml::node& item) {
    webhook_settings made;
    for (const auto& [key, value] : table("webhook", item)) {
      auto label = "webhook." + std::string(key.str());
      if (key.str() == "url")
        made.url = scalar(label, value);
      else if (key.str() == "secret")
        made.secret = scalar(label, value);
      else if (key.str() == "tenant")
        made.tenant.value = scalar(label, value);
      else if (key.str() == "events")
        made.events = event_types(label, value);
      else if (key.str() == "allow_private")
        made.allow_private = truth(label, value);
      else
        throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of webhook in " + where(key)};
    }
    if (auto address = http::outbound::parse_webhook_url(made.url); !address)
      throw wrong("webhook.url", item, "= \"" + made.url + "\" " + sandy::text_of(address.error()));
    if (made.secret.size() < least_secret)
      throw wrong("webhook.secret", item, "is shorter than " + std::to_string(least_secret) + " characters");
    return made;
  }

  std::vector<life_event_type> event_types(const std::string& label, const toml::node& node) const {
    auto* list = node.as_array();
    if (!list)
      throw wrong(label, node, "is not a list");
    std::vector<life_event_type> types;
    for (const auto& each : *list) {
      auto name = scalar(label, each);
      auto type = life_event_type_of(name);
      if (!type)
        throw wrong(label, each, "names an unknown event: " + name);
      types.push_back(*type);
    }
    return types;
  }

  void read_models(const toml::node& node) {
    auto* list = node.as_array();
    if (!list)
      throw wrong("models", node, "is not a list of tables: write [[models]]");
    for (const auto& item : *list) {
      read_.models.push_back(read_model(item));
      const auto& made = read_.models.back();
      for (auto other = read_.models.begin(); other + 1 != read_.models.end(); ++other)
        if (other->id == made.id)
          throw wrong("models", item, "has the same id twice: " + made.id);
    }
  }

  model_settings read_model(const toml::node& item) {
    model_settings made;
    for (const auto& [key, value] : table("models", item)) {
      auto label = "models." + std::string(key.str());
      if (key.str() == "id")
        made.id = scalar(label, value);
      else if (key.str() == "url" || key.str() == "urls")
        made.urls = texts(label, value);
      else if (key.str() == "fallback_url")
        made.fallback_url = scalar(label, value);
      else if (key.str() == "hedge_after")
        made.hedge_after = checked(label, value, scalar(label, value), parse_duration(scalar(label, value)));
      else if (key.str() == "owned_by")
        made.owned_by = scalar(label, value);
      else if (key.str() == "aliases")
        made.aliases = texts(label, value);
      else if (key.str() == "upstream_name")
        made.upstream_name = scalar(label, value);
      else if (key.str() == "api_key")
        made.api_key = scalar(label, value);
      else if (key.str() == "api_key_env")
        made.api_key_env = scalar(label, value);
      else if (key.str() == "api_key_file")
        made.api_key_file = scalar(label, value);
      else if (key.str() == "containers")
        made.containers = read_containers(value);
      else if (key.str() == "agent")
        made.agent = read_agent_model(value);
      else
        throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of models in " + where(key)};
    }
    if (made.id.empty() || (made.urls.empty() && !made.containers && !made.agent))
      throw wrong("models", item, "needs an id, and a url, urls, containers or an agent");
    if (made.agent && (!made.urls.empty() || made.containers || !made.fallback_url.empty()))
      throw wrong("models", item, "is answered by an agent: it needs no url and no containers");
    if (made.hedge_after.count() > 0 && !made.containers && made.urls.size() < 2)
      throw wrong("models.hedge_after", item,
                  "needs containers or a second url: there is nobody else to ask");
    if (made.containers)
      made.containers->model = made.id;
    return made;
  }

  model_containers read_containers(const toml::node& node) {
    model_containers made;
    for (const auto& [key, value] : table("models.containers", node)) {
      auto label = "models.containers." + std::string(key.str());
      auto text = key.str() == "env" || key.str() == "command" ? std::string{} : scalar(label, value);
      if (key.str() == "image")
        made.image = text;
      else if (key.str() == "flavor")
        made.flavor = text;
      else if (key.str() == "memory")
        made.limits.memory_bytes = checked(label, value, text, parse_size(text));
      else if (key.str() == "cpu")
        made.limits.cpu_millis = checked(label, value, text, parse_cores(text));
      else if (key.str() == "warm")
        made.warm = checked(label, value, text, parse_count(text));
      else if (key.str() == "most")
        made.most = checked(label, value, text, parse_count(text));
      else if (key.str() == "at_once")
        made.at_once = checked(label, value, text, parse_count(text));
      else if (key.str() == "most_served")
        made.most_served = checked(label, value, text, parse_count(text));
      else if (key.str() == "port")
        made.port = static_cast<std::uint16_t>(checked(label, value, text, parse_count(text)));
      else if (key.str() == "max_age")
        made.max_age = std::chrono::duration_cast<std::chrono::seconds>(
            checked(label, value, text, parse_duration(text)));
      else if (key.str() == "timeout")
        made.timeout = std::chrono::duration_cast<std::chrono::seconds>(
            checked(label, value, text, parse_duration(text)));
      else if (key.str() == "command")
        made.command = texts(label, value);
      else if (key.str() == "env")
        for (const auto& [name, each] : table(label, value))
          made.env.emplace_back(std::string(name.str()), scalar(label, each));
      else
        throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of models.containers in " + where(key)};
    }
    if (made.image.empty() || made.most == 0 || made.at_once == 0 || made.port == 0)
      throw wrong("models.containers", node, "needs an image; most, at_once and port are at least 1");
    made.most = std::max(made.most, made.warm);
    return made;
  }

  http::gateway::agent_model_settings read_agent_model(const toml::node& node) {
    http::gateway::agent_model_settings made;
    for (const auto& [key, value] : table("models.agent", node)) {
      auto label = "models.agent." + std::string(key.str());
      auto text = scalar(label, value);
      if (key.str() == "agent")
        made.agent = text;
      else if (key.str() == "model")
        made.model = text;
      else if (key.str() == "flavor")
        made.flavor = text;
      else if (key.str() == "base_url")
        made.base_url = text;
      else if (key.str() == "max_duration")
        made.limit = std::chrono::duration_cast<std::chrono::seconds>(
            checked(label, value, text, parse_duration(text)));
      else
        throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of models.agent in " + where(key)};
    }
    if (made.model.empty() || made.limit.count() == 0)
      throw wrong("models.agent", node, "needs the model that the agent asks, and time");
    return made;
  }

  /// One text, or a list of them.
  std::vector<std::string> texts(const std::string& label, const toml::node& node) const {
    std::vector<std::string> all;
    if (auto* list = node.as_array())
      for (const auto& each : *list)
        all.push_back(scalar(label, each));
    else
      all.push_back(scalar(label, node));
    return all;
  }

  void read_flavors(const toml::node& node) {
    for (const auto& [name, entry] : table("flavors", node)) {
      auto full = "flavors." + std::string(name.str());
      if (name.str().find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") != std::string_view::npos)
        throw wrong(full, entry, "has a name with other characters than a-z, 0-9, '-', '_' and '.'");
      flavor made;
      for (const auto& [key, value] : table(full, entry)) {
        auto text = scalar(key.str(), value);
        auto label = full + "." + std::string(key.str());
        if (key.str() == "image")
          made.image = text;
        else if (key.str() == "memory")
          made.limits.memory_bytes = checked(label, value, text, parse_size(text));
        else if (key.str() == "cpu")
          made.limits.cpu_millis = checked(label, value, text, parse_cores(text));
        else if (key.str() == "pids")
          made.limits.pids = checked(label, value, text, parse_count(text));
        else if (key.str() == "disk")
          made.limits.disk_bytes = checked(label, value, text, parse_size(text));
        else if (key.str() == "warm")
          made.warm = checked(label, value, text, parse_count(text));
        else if (key.str() == "warm_max")
          made.warm_max = checked(label, value, text, parse_count(text));
        else
          throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of " + full + " in " + where(key)};
      }
      if (made.image.empty())
        throw wrong(full, entry, "names no image");
      read_.flavors[std::string(name.str())] = std::move(made);
    }
  }

  void read_tenants(const toml::node& node) {
    for (const auto& [name, entry] : table("tenants", node)) {
      auto full = "tenants." + std::string(name.str());
      auto& changes = read_.tenants[std::string(name.str())];
      for (const auto& [key, value] : table(full, entry)) {
        auto known =
            std::find_if(std::begin(limit_fields), std::end(limit_fields),
                         [&named = key](const limit_field& field) { return field.name == named.str(); });
        if (known == std::end(limit_fields))
          throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of " + full + " in " + where(key)};
        auto text = scalar(key.str(), value);
        auto label = full + "." + std::string(key.str());
        changes.emplace_back(known->value, known->is_size ? checked(label, value, text, parse_size(text))
                                                          : checked(label, value, text, parse_count(text)));
      }
    }
  }

  void read_aliases(const toml::node& node) {
    for (const auto& [name, value] : table("image_aliases", node)) {
      auto label = "image_aliases." + std::string(name.str());
      auto means = scalar(label, value);
      if (!is_image_name(means) && !parse_image_reference(means))
        throw wrong(label, value,
                    "= \"" + means +
                        "\" is neither the name of an image nor a reference such as "
                        "ghcr.io/team/image:1");
      read_.image_aliases.emplace(name.str(), std::move(means));
    }
  }

  void read_platform(const toml::node& node) {
    for (const auto& [name, entry] : table("platform", node)) {
      auto full = "platform." + std::string(name.str());
      platform_service_reader one{std::string(name.str())};
      for (const auto& [key, value] : table(full, entry)) {
        auto label = full + "." + std::string(key.str());
        auto done = one.set(key.str(), text_of_list(label, value));
        if (!done)
          throw wrong(label, value, sandy::text_of(done.error()));
      }
      auto made = one.finish();
      if (!made)
        throw wrong(full, entry, sandy::text_of(made.error()));
      read_.platform_services.push_back(std::move(*made));
    }
  }

  void read_prices(const toml::node& node) {
    for (const auto& [model, entry] : table("platform_prices", node)) {
      auto full = "platform_prices." + std::string(model.str());
      auto& price = read_.platform_prices[std::string(model.str())];
      for (const auto& [key, value] : table(full, entry)) {
        auto text = scalar(key.str(), value);
        auto label = full + "." + std::string(key.str());
        if (key.str() == "input")
          price.input = checked(label, value, text, http::platform::parse_amount(text));
        else if (key.str() == "output")
          price.output = checked(label, value, text, http::platform::parse_amount(text));
        else
          throw mistake{"Unknown key \"" + std::string(key.str()) + "\" of " + full + " in " + where(key)};
      }
    }
  }

  /// A list as a text with commas.
  std::string text_of_list(const std::string& label, const toml::node& node) const {
    if (!node.is_array())
      return scalar(label, node);
    std::string joined;
    for (const auto& item : *node.as_array())
      joined += (joined.empty() ? "" : ",") + scalar(label, item);
    return joined;
  }

  bool truth(std::string_view name, const toml::node& node) const {
    if (auto found = node.as_boolean())
      return found->get();
    throw wrong(name, node, "is neither true nor false");
  }

  template <class T>
  T checked(const std::string& name, const toml::node& node, const std::string& text, result<T> value) const {
    if (!value)
      throw wrong(name, node, "= \"" + text + "\" " + sandy::text_of(value.error()));
    return *value;
  }

  const std::string& path_;
  config_file read_;
};

} // namespace

result<config_file> read_config_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) // opens like a file
    return fail(errc::invalid_argument, "Cannot read " + path + ": it is a directory");
  std::ifstream file(path);
  if (!file)
    return fail(errc::invalid_argument, "Cannot read " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad() || text.bad())
    return fail(errc::invalid_argument, "Cannot read " + path);
  try {
    return reader(path).read(toml::parse(text.view(), path));
  } catch (const toml::parse_error& failed) {
    return fail(errc::invalid_argument, path + ", line " + std::to_string(failed.source().begin.line) + ": " +
                                            std::string(failed.description()));
  } catch (const mistake& failed) {
    return fail(errc::invalid_argument, failed.sentence);
  }
}

} // namespace sandy
