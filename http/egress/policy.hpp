#pragma once

#include "messages/network.hpp"
#include "messages/network_refusal.hpp"
#include "messages/network_rule.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::egress {

using refusal = network_refusal;

/// What a connection is to.
struct destination {
  network_address address{};
  std::uint16_t port = 0;
};

/// The policies of one sandbox, of its ancestors and of the installation, all of which must agree. A value.
class policy {
public:
  /// Nothing is let through.
  policy() = default;
  /// Entries that are no destinations are left out of what is allowed, and deny everything where they were to
  /// deny.
  explicit policy(const std::vector<network_policy>& all_of);

  network_mode mode() const noexcept { return mode_; }
  std::uint64_t max_bytes() const noexcept { return max_bytes_; } ///< 0: no bound
  /// Whether names matter: then what is said on a connection has to be looked at.
  bool has_names() const noexcept { return has_names_; }

  /// Whether the name may be asked for at all.
  refusal judge_name(std::string_view name) const;

  /// Whether the address is refused whatever it is called.
  refusal judge_address(const destination& to) const;

  /// Whether every list that names matter to allows the address by itself: then its name need not be true.
  bool allows_address(const destination& to) const;

  /// @param name that the connection gave, canonical; none: it gave none.
  /// @param known names for which the address was an answer; they count when the connection gave none.
  refusal judge(const destination& to, const std::optional<std::string>& name,
                const std::vector<std::string>& known) const;

private:
  struct layer {
    std::vector<network_rule> allow, deny;
    bool limited = false; ///< there is a list of what is allowed
    bool denies_all = false;
    bool has_names = false;
  };
  refusal judge_as(const destination& to, const std::string* name) const;

  std::vector<layer> layers_;
  network_mode mode_ = network_mode::none;
  std::uint64_t max_bytes_ = 0;
  bool has_names_ = false;
};

} // namespace sandy::http::egress
