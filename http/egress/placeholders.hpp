#pragma once

#include "messages/error.hpp"
#include "messages/secrets.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http::egress {

/// A text that nobody guesses, looks like a key, and is put into headers as it is:
/// "sandy-secret-" and 32 hex digits. Fails with internal when the machine has no randomness.
result<std::string> make_placeholder();

/// What is put in place of placeholders in one request.
class replacements {
public:
  /// Of a head with its secrets. A value that gets longer than that is given up: it comes back cut off, and
  /// still too long.
  static constexpr std::size_t most_bytes = 256 * 1024;

  void add(std::shared_ptr<const placed_secret> one) { all_.push_back(std::move(one)); }

  /// A header's value with its placeholders replaced, those within the base64 of `Basic` credentials too;
  /// none when there are none in it. Headers that say how a message travels are never changed.
  std::optional<std::string> applied_to(std::string_view name, std::string_view value) const;

private:
  std::optional<std::string> in_text(std::string_view text) const;
  std::optional<std::string> in_credentials(std::string_view value) const;

  std::vector<std::shared_ptr<const placed_secret>> all_; ///< shared: connections hold no copies of values
};

} // namespace sandy::http::egress
