#pragma once

#include "agents/dialects/translator.hpp"

#include <string_view>

namespace sandy::agents {

/// `openhands --headless --json`. Says the end in a line for people only, and exits with 0 after a failure; a
/// summary which repeats the last message, or else the whole of its instructions, is left out.
class openhands_dialect : public translator {
protected:
  bool translate(const json& said) override;
  bool hear(std::string_view line) override;

private:
  bool act(const json& said);

  bool in_summary_ = false;
};

} // namespace sandy::agents
