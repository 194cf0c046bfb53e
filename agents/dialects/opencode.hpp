#pragma once

#include "agents/dialects/translator.hpp"

namespace sandy::agents {

/// `opencode run --format json` and its fork Kilo. Says whole texts, and a tool when it is done.
class opencode_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  void finish_step(const json& part);
};

} // namespace sandy::agents
