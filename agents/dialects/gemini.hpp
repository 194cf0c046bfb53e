#pragma once

#include "agents/dialects/translator.hpp"

namespace sandy::agents {

/// `gemini --output-format stream-json`. Says its texts in parts only.
class gemini_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  void end(const json& said);
};

} // namespace sandy::agents
