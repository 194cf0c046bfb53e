#pragma once

#include "agents/definition.hpp"

#include <map>
#include <string>
#include <string_view>

namespace sandy::agents {

using environment = std::map<std::string, std::string>;

/// `url` as an agent of the family wants it: without trailing slashes and one `/v1`, which OpenAI's families
/// get back. An empty one stays empty.
std::string normal_base_url(std::string_view url, api_kind api);

/// The base URL that a caller gave: the field of the request, else the family's variable of the request's
/// environment. Empty: none. Not normalised.
std::string given_base_url(std::string_view field, const environment& env, api_kind api);

/// The key that a caller gave: the field of the request, else the family's variables, else `CHUTES_API_KEY`.
/// Empty: none.
std::string given_api_key(std::string_view field, const environment& env, api_kind api);

} // namespace sandy::agents
