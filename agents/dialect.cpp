#include "agents/dialect.hpp"

#include "agents/dialects/claude.hpp"
#include "agents/dialects/cline.hpp"
#include "agents/dialects/codex.hpp"
#include "agents/dialects/copilot.hpp"
#include "agents/dialects/droid.hpp"
#include "agents/dialects/gemini.hpp"
#include "agents/dialects/lines.hpp"
#include "agents/dialects/opencode.hpp"
#include "agents/dialects/openhands.hpp"
#include "agents/dialects/pi.hpp"

namespace sandy::agents {

std::unique_ptr<dialect> make_dialect(const definition& agent) {
  switch (agent.dialect) {
  case dialect_kind::claude:
    return std::make_unique<claude_dialect>();
  case dialect_kind::codex:
    return std::make_unique<codex_dialect>();
  case dialect_kind::opencode:
    return std::make_unique<opencode_dialect>();
  case dialect_kind::gemini:
    return std::make_unique<gemini_dialect>();
  case dialect_kind::copilot:
    return std::make_unique<copilot_dialect>();
  case dialect_kind::pi:
    return std::make_unique<pi_dialect>();
  case dialect_kind::cline:
    return std::make_unique<cline_dialect>();
  case dialect_kind::droid:
    return std::make_unique<droid_dialect>();
  case dialect_kind::openhands:
    return std::make_unique<openhands_dialect>();
  case dialect_kind::lines:
    break;
  }
  return std::make_unique<lines_dialect>(agent.lines);
}

} // namespace sandy::agents
