#include "actors/container_program.hpp"

#include <algorithm>

namespace sandy {

namespace {

void set(environment& all, std::string name, std::string value) {
  std::erase_if(all, [&](const auto& each) { return each.first == name; });
  all.emplace_back(std::move(name), std::move(value));
}

std::string value_of(const environment& all, std::string_view name) {
  auto found = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.first == name; });
  return found == all.end() ? std::string{} : found->second;
}

} // namespace

result<container_program> program_for(const container_order& order, const runtime::image_program& image,
                                      std::uint16_t port, const container_defaults& defaults,
                                      const environment& identity) {
  container_program program;
  program.user = image.user;
  program.max_restarts = order.max_restarts;
  program.platform_key = order.llm_api_key;
  program.arguments = image.entrypoint;
  const auto& rest = order.command.empty() ? image.command : order.command;
  program.arguments.insert(program.arguments.end(), rest.begin(), rest.end());
  if (program.arguments.empty())
    return fail(errc::invalid_argument, "The image does not say what it runs: give a command");
  auto& env = program.env;
  env = identity;
  set(env, "JANUS_PLATFORM_URL", defaults.platform_url);
  // Who names no key of a model is known by the sandbox's own token.
  auto key = order.llm_api_key.empty() ? value_of(identity, "SANDY_API_KEY") : order.llm_api_key;
  if (!key.empty())
    set(env, "JANUS_LLM_API_KEY", std::move(key));
  auto below = [&](const std::string& given, const char* path) {
    return given.empty() ? defaults.platform_url + path : given;
  };
  set(env, "JANUS_MEMORY_URL", below(order.memory_url, "/memory"));
  set(env, "JANUS_SEARCH_URL", below(order.search_url, "/search"));
  set(env, "JANUS_LOG_LEVEL", "INFO");
  set(env, "JANUS_TIMEOUT", std::to_string(order.timeout_seconds));
  set(env, "PORT", std::to_string(port));
  set(env, "HOST", "0.0.0.0");
  for (const auto& [name, value] : order.env)
    set(env, name, value);
  return program;
}

} // namespace sandy
