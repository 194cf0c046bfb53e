#pragma once

#include "agents/definition.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// The agents that this server knows, whether or not an image has them. Never changes; read it from any
/// thread.
class catalog {
public:
  /// Reads each `*.toml` of `folder`. Blocking. Fails with invalid_argument (a definition is wrong, or a name
  /// belongs to two; the sentence names the file) or internal (the folder cannot be read).
  static result<catalog> load(const std::string& folder);

  /// The agent with this id or alias, upper and lower case distinguished; null: nobody is called so. Lives as
  /// long as the catalog.
  const definition* find(std::string_view name) const noexcept;

  /// All of them, ordered by id.
  const std::vector<definition>& all() const noexcept { return definitions_; }

private:
  std::vector<definition> definitions_;
};

} // namespace sandy::agents
