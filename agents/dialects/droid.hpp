#pragma once

#include "agents/dialects/translator.hpp"

namespace sandy::agents {

/// `droid exec --output-format stream-json`. Says whole texts, no parts of them.
class droid_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  bool translate_message(const json& said);
};

} // namespace sandy::agents
