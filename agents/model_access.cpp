#include "agents/model_access.hpp"

#include <initializer_list>

namespace sandy::agents {

namespace {

using variables = std::initializer_list<const char*>;

/// The first of the variables that has a value: callers hand all of them on, also those which are empty.
std::string first_of(const environment& env, variables names) {
  for (auto* name : names)
    if (auto found = env.find(name); found != env.end() && !found->second.empty())
      return found->second;
  return {};
}

} // namespace

std::string normal_base_url(std::string_view url, api_kind api) {
  auto without_slashes = [&] {
    while (url.ends_with('/'))
      url.remove_suffix(1);
  };
  without_slashes();
  if (url.ends_with("/v1")) {
    url.remove_suffix(3);
    without_slashes();
  }
  auto versioned = !url.empty() && (api == api_kind::openai || api == api_kind::responses);
  return std::string(url) + (versioned ? "/v1" : "");
}

std::string given_base_url(std::string_view field, const environment& env, api_kind api) {
  if (!field.empty())
    return std::string(field);
  switch (api) {
  case api_kind::anthropic:
    return first_of(env, {"ANTHROPIC_BASE_URL"});
  case api_kind::openai:
  case api_kind::responses:
    return first_of(env, {"OPENAI_BASE_URL", "OPENAI_API_BASE"});
  case api_kind::gemini:
    return first_of(env, {"GOOGLE_GEMINI_BASE_URL"});
  }
  return {};
}

std::string given_api_key(std::string_view field, const environment& env, api_kind api) {
  if (!field.empty())
    return std::string(field);
  switch (api) {
  case api_kind::anthropic:
    return first_of(env, {"ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CHUTES_API_KEY"});
  case api_kind::openai:
  case api_kind::responses:
    return first_of(env, {"OPENAI_API_KEY", "CHUTES_API_KEY"});
  case api_kind::gemini:
    return first_of(env, {"GEMINI_API_KEY", "CHUTES_API_KEY"});
  }
  return {};
}

} // namespace sandy::agents
