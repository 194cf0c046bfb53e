#include "http/platform/settings.hpp"

#include "http/client/address.hpp"
#include "http/codec/fields.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

namespace sandy::http::platform {

namespace {

caf::error wrong(std::string text) { return fail(errc::invalid_argument, std::move(text)); }

/// Characters of field names and methods (RFC 9110, section 5.6.2).
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && is_plain(text) && text.find_first_of("?# ") == std::string_view::npos;
}

/// What we set ourselves, or nobody may: length, connection, whose request it is.
bool is_ours(std::string_view field) {
  static constexpr std::array names{"host",
                                    "connection",
                                    "content-length",
                                    "transfer-encoding",
                                    "keep-alive",
                                    "proxy-authorization",
                                    "authorization",
                                    "upgrade",
                                    "te",
                                    "trailer",
                                    "expect",
                                    "cookie",
                                    "accept-encoding"};
  return std::ranges::find(names, codec::lower(field)) != names.end();
}

/// Of a million tokens. More is a mistake, and would only overflow sums.
constexpr micros most_price = 1'000'000'000;
constexpr std::chrono::milliseconds research_timeout{1'200'000};

} // namespace

bool is_plain(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

service_settings known_service(std::string_view name) {
  service_settings made;
  made.name = name;
  auto at = [&](const char* path, std::vector<std::string> aliases = {}) {
    made.path = path;
    made.aliases = std::move(aliases);
  };
  if (name == "llm") {
    at("/v1/chat/completions", {"/v1/inference/completions"});
    made.count_tokens = made.user_key = true;
  } else if (name == "embeddings") {
    at("/v1/embeddings");
    made.count_tokens = made.user_key = made.retry_safe = true;
  } else if (name == "models") {
    at("/v1/models");
    made.methods = {"GET"};
    made.user_key = true;
  } else if (name == "search") {
    at("/search", {"/v1/web/search"});
    made.methods = {"GET", "POST"};
    made.retry_safe = true;
  } else if (name == "research") {
    at("/research");
    made.timeout = research_timeout;
  } else if (name == "memory_query") {
    at("/memory/query", {"/api/memory/query"});
    made.retry_safe = true;
  } else if (name == "memory_store") {
    at("/memory/store", {"/api/memory/store"});
  } else if (name == "images") {
    at("/images/generate");
  } else if (name == "speech") {
    at("/audio/speech");
  } else if (name == "vector") {
    at("/query", {"/v1/vector/search"});
    made.retry_safe = true;
  } else if (name == "fetch") {
    at("/fetch");
    made.methods = {"GET"};
  }
  return made;
}

result<void> check(const service_settings& one) {
  if (one.name.empty() ||
      one.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string::npos)
    return wrong("has a name with other characters than a-z, 0-9, '-' and '_'");
  if (one.path.empty())
    return wrong("needs a path: it is none of the services whose path is known");
  if (!is_path(one.path) || !std::ranges::all_of(one.aliases, is_path))
    return wrong("has a path that does not begin with a slash, or has a query");
  if (one.target.empty())
    return wrong("needs a target");
  if (auto to = client::parse_url(one.target); !to)
    return wrong("has a target that " + text_of(to.error()));
  if (one.methods.empty() || !std::ranges::all_of(one.methods, is_token))
    return wrong("has a method that is none");
  if (one.timeout.count() <= 0)
    return wrong("has a timeout of nothing");
  if (!is_token(one.auth_header) || !is_plain(one.auth_prefix) || !is_plain(one.key))
    return wrong("has a key, or a header for it, that no request can carry");
  for (const auto& name : one.pass_headers)
    if (!is_token(name) || is_ours(name) || codec::lower(name) == codec::lower(one.auth_header))
      return wrong("passes a header that it must not: " + name);
  return caf::unit;
}

result<void> check(const settings& all) {
  for (const auto& [model, price] : all.prices)
    if (std::max(price.input, price.output) > most_price)
      return wrong("platform_prices." + model + " is more than 1000 for a million tokens");
  // Else whoever names a model that has no price pays nothing.
  if (all.limits.cost != 0 && !all.prices.contains("*") &&
      std::ranges::any_of(all.services, &service_settings::count_tokens))
    return wrong("platform_max_cost needs a price of any model: platform_prices.\"*\"");
  std::set<std::string> paths;
  if (all.exec)
    paths.insert("/sandbox/exec");
  for (const auto& each : all.services) {
    auto mine = each.aliases;
    mine.push_back(each.path);
    for (const auto& path : mine)
      if (!paths.insert(path).second)
        return wrong("platform." + each.name + " has a path that is taken: " + path);
  }
  return caf::unit;
}

result<micros> parse_amount(std::string_view text) {
  const auto refused = [] { return wrong("is not an amount such as 0.15, with at most six decimals"); };
  auto point = std::min(text.find('.'), text.size());
  auto whole = text.substr(0, point);
  auto rest = text.substr(std::min(point + 1, text.size()));
  std::string digits{rest};
  if (whole.empty() || digits.size() > 6 || (point < text.size() && rest.empty()))
    return refused();
  digits.append(6 - digits.size(), '0');
  std::uint64_t units = 0, parts = 0;
  auto read = [](std::string_view from, std::uint64_t& into) {
    auto [end, failed] = std::from_chars(from.data(), from.data() + from.size(), into);
    return failed == std::errc{} && end == from.data() + from.size();
  };
  if (!read(whole, units) || !read(digits, parts) || units > 1'000'000'000)
    return refused();
  return units * 1'000'000 + parts;
}

std::string print_amount(micros amount) {
  auto text = std::to_string(amount / 1'000'000);
  if (auto parts = amount % 1'000'000; parts != 0) {
    auto digits = std::to_string(1'000'000 + parts).substr(1);
    text += "." + digits.substr(0, digits.find_last_not_of('0') + 1);
  }
  return text;
}

} // namespace sandy::http::platform
