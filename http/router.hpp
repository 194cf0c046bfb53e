#pragma once

#include "http/exchange.hpp"
#include "messages/limiter.hpp"

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http {

inline constexpr std::string_view any_method = "*";

/// One line of the route table. The strings live as long as the program (literals).
struct route {
  std::string_view method; ///< "GET" answers HEAD too; `any_method` answers all, also OPTIONS
  /// "/api/sandboxes/{id}/exec"; also the route's label in metrics. A last "{path...}" stands for any number
  /// of segments, and is no parameter that handlers read.
  std::string_view pattern;
  handler handle = nullptr;
  bool is_public = false;                  ///< needs no key
  request_cost cost = request_cost::plain; ///< what a request takes from its tenant's budget
  bool key_in_subprotocol = false;         ///< a WebSocket, whose key may be one of its subprotocols
};

/// Finds the route of a request. A literal segment beats a parameter ("stats" before "{id}"): the literal is
/// reserved, also for methods that it does not have. Immutable after construction.
class router {
public:
  /// Most `{name}` segments in one pattern.
  static constexpr std::size_t max_params = 4;

  /// Throws std::logic_error for a bad or repeated entry: the table is ours.
  explicit router(std::vector<route> routes);
  ~router();
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;

  struct match {
    const route* found = nullptr; ///< nullptr: see `allow`
    std::string_view allow; ///< methods of the path ("GET, HEAD, OPTIONS"); empty: there is no such path
    std::size_t params = 0; ///< how many of `names` and `segments` are set
    std::array<std::string_view, max_params> names{};
    std::array<std::size_t, max_params> segments{}; ///< index of the path segment that stands for the name
  };

  /// @param segments the decoded parts between the slashes of the path.
  match find(std::string_view method, std::span<const std::string_view> segments) const;

  const std::vector<route>& routes() const noexcept { return routes_; }

private:
  struct node;
  std::vector<route> routes_;
  std::unique_ptr<node> root_;
};

/// The table with a second entry, without `prefix`, for every pattern that starts with `prefix + family`
/// ("/api" + "/sandboxes"): clients of an older API use those.
std::vector<route> with_alias(std::vector<route> routes, std::string_view prefix, std::string_view family);

} // namespace sandy::http
