#pragma once

#include "agents/dialect.hpp"

namespace sandy::agents {

/// `claude -p --output-format stream-json` and programs that print the same (Qwen Code). Objects pass through
/// unchanged. The order of their keys differs between versions.
class claude_dialect : public dialect {
public:
  void read(std::string_view line, std::vector<event>& into) override;
  void finish(std::vector<event>& into) override;
};

} // namespace sandy::agents
