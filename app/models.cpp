#include "app/models.hpp"

#include "http/gateway/agent_model.hpp"
#include "http/gateway/url_backend.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sandy {

namespace {

using http::gateway::url_backend;

caf::error wrong(const model_settings& of, const std::string& what) {
  return fail(errc::invalid_argument, "The model \"" + of.id + "\" " + what);
}

/// The key that is sent to the model's servers; empty: none.
result<std::string> key_of(const model_settings& of) {
  if (!of.api_key.empty())
    return of.api_key;
  if (!of.api_key_env.empty()) {
    const char* value = std::getenv(of.api_key_env.c_str());
    if (value == nullptr || *value == '\0')
      return wrong(of, "takes its key from the variable " + of.api_key_env + ", which is not set");
    return std::string{value};
  }
  if (of.api_key_file.empty())
    return std::string{};
  std::ifstream file{of.api_key_file};
  std::ostringstream text;
  text << file.rdbuf();
  auto key = text.str();
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r' || key.back() == ' '))
    key.pop_back();
  if (!file || key.empty())
    return wrong(of, "takes its key from " + of.api_key_file + ", which cannot be read or is empty");
  return key;
}

result<http::gateway::model> model_of(const model_settings& of, std::vector<pooled_model>& pooled,
                                      std::chrono::milliseconds patience) {
  auto key = key_of(of);
  if (!key)
    return std::move(key.error());
  http::gateway::model made;
  made.id = of.id;
  made.owned_by = of.owned_by;
  made.aliases = of.aliases;
  made.upstream_name = of.upstream_name;
  made.hedge_after = of.hedge_after;
  auto backend = [&](const std::string& url) {
    return url_backend::make(http::gateway::with_scheme(url), *key);
  };
  if (of.agent) {
    auto settings = *of.agent;
    settings.api_key = *key;
    made.own = std::make_shared<http::gateway::agent_model>(std::move(settings));
  }
  if (of.containers) {
    auto what = *of.containers;
    what.llm_api_key = *key;
    auto one = std::make_shared<http::gateway::container_backend>(patience);
    made.backends.push_back(one);
    pooled.push_back({std::move(what), std::move(one)});
  }
  for (const auto& url : of.urls) {
    auto one = backend(url);
    if (!one)
      return wrong(of, "has a url that " + text_of(one.error()));
    made.backends.push_back(std::move(*one));
  }
  if (!of.fallback_url.empty()) {
    auto one = backend(of.fallback_url);
    if (!one)
      return wrong(of, "has a fallback_url that " + text_of(one.error()));
    made.fallback = std::move(*one);
  }
  return made;
}

} // namespace

result<configured_models> configured_models_of(const config& settings) {
  configured_models all;
  auto& made = all.settings;
  for (const auto& each : settings.models) {
    auto one = model_of(each, all.pooled, settings.chats.first_token);
    if (!one)
      return std::move(one.error());
    made.models.push_back(std::move(*one));
  }
  made.default_model = settings.gateway_default_model;
  made.password = settings.gateway_password;
  made.for_sandboxes = settings.gateway_for_sandboxes;
  made.limits = settings.chats;
  made.artifacts = settings.artifacts;
  if (settings.gateway_scoring_url.empty())
    return all;
  auto scoring = http::client::parse_url(settings.gateway_scoring_url);
  if (!scoring)
    return fail(errc::invalid_argument, "gateway_scoring_url " + text_of(scoring.error()));
  made.scoring = std::move(*scoring);
  return all;
}

} // namespace sandy
