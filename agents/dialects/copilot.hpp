#pragma once

#include "agents/dialects/translator.hpp"

#include <string>

namespace sandy::agents {

/// `copilot --output-format json`. Names the session only at the end, and prints a lot that concerns nobody.
class copilot_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  bool translate_data(const std::string& type, const json& data);
};

} // namespace sandy::agents
