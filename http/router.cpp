#include "http/router.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace sandy::http {

/// One position in the tree of path segments.
struct router::node {
  std::map<std::string, std::unique_ptr<node>, std::less<>> literals;
  std::unique_ptr<node> parameter;
  std::unique_ptr<node> rest;          ///< takes all segments from here on, also none
  std::vector<const route*> routes;    ///< those that end here
  std::vector<std::string_view> names; ///< of the parameters on the way here
  std::string allow;
};

namespace {

std::vector<std::string_view> split(std::string_view pattern) {
  if (!pattern.starts_with('/'))
    throw std::logic_error("a route's pattern starts with a slash: " + std::string{pattern});
  std::vector<std::string_view> parts;
  for (pattern.remove_prefix(1); !pattern.empty();) {
    auto end = std::min(pattern.find('/'), pattern.size());
    parts.push_back(pattern.substr(0, end));
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
  }
  return parts;
}

std::string allowed(const std::vector<const route*>& routes) {
  std::string out;
  auto has = [&](std::string_view method) {
    return std::ranges::any_of(routes, [&](const route* entry) { return entry->method == method; });
  };
  for (const auto* entry : routes)
    out.append(entry->method).append(", ");
  if (has("GET") && !has("HEAD"))
    out.append("HEAD, ");
  return out.append("OPTIONS");
}

bool is_parameter(std::string_view part) { return part.starts_with('{') && part.ends_with('}'); }
bool is_rest(std::string_view part) { return part.starts_with('{') && part.ends_with("...}"); }

} // namespace

router::router(std::vector<route> routes)
    : routes_(std::move(routes))
    , root_(std::make_unique<node>()) {
  for (const auto& entry : routes_) {
    auto* at = root_.get();
    std::vector<std::string_view> names;
    for (auto part : split(entry.pattern)) {
      auto& next = is_rest(part)        ? at->rest
                   : is_parameter(part) ? at->parameter
                                        : at->literals[std::string{part}];
      if (is_parameter(part) && !is_rest(part))
        names.push_back(part.substr(1, part.size() - 2));
      if (!next)
        next = std::make_unique<node>();
      at = next.get();
    }
    auto same_method = [&](const route* other) { return other->method == entry.method; };
    if (entry.handle == nullptr || names.size() > max_params ||
        std::ranges::any_of(at->routes, same_method) || (!at->routes.empty() && at->names != names))
      throw std::logic_error("bad route: " + std::string{entry.method} + " " + std::string{entry.pattern});
    at->names = std::move(names);
    at->routes.push_back(&entry);
  }
  auto finish = [](auto& self, node& at) -> void {
    if (!at.routes.empty())
      at.allow = allowed(at.routes);
    for (auto& [text, child] : at.literals)
      self(self, *child);
    if (at.parameter)
      self(self, *at.parameter);
    if (at.rest)
      self(self, *at.rest);
  };
  finish(finish, *root_);
}

router::~router() = default;
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;

router::match router::find(std::string_view method, std::span<const std::string_view> segments) const {
  match result;
  // Literal first; when it leads nowhere, the parameter at the same place.
  auto walk = [&](auto& self, const node& at, std::size_t depth) -> const node* {
    const node* rest = at.rest && !at.rest->routes.empty() ? at.rest.get() : nullptr;
    if (depth == segments.size())
      return at.routes.empty() ? rest : &at;
    if (auto literal = at.literals.find(segments[depth]); literal != at.literals.end())
      if (auto* end = self(self, *literal->second, depth + 1))
        return end;
    if (!at.parameter || segments[depth].empty())
      return rest;
    auto mark = result.params;
    result.segments[result.params++] =
        depth; // no pattern has more than max_params, so no way through the tree has
    if (auto* end = self(self, *at.parameter, depth + 1))
      return end;
    result.params = mark;
    return rest;
  };
  const auto* end = walk(walk, *root_, 0);
  if (end == nullptr)
    return result;
  std::ranges::copy(end->names, result.names.begin());
  result.allow = end->allow;
  for (const auto* entry : end->routes)
    if (entry->method == method || entry->method == any_method ||
        (entry->method == "GET" && method == "HEAD" && result.found == nullptr))
      result.found = entry;
  return result;
}

std::vector<route> with_alias(std::vector<route> routes, std::string_view prefix, std::string_view family) {
  auto count = routes.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto entry = routes[i];
    if (!entry.pattern.starts_with(prefix) || !entry.pattern.substr(prefix.size()).starts_with(family))
      continue;
    entry.pattern.remove_prefix(prefix.size());
    routes.push_back(entry);
  }
  return routes;
}

} // namespace sandy::http
