#pragma once

#include "agents/dialects/translator.hpp"

#include <string>

namespace sandy::agents {

/// `cline --json`. Parts of a text come as `content_start`, the whole as `content_end`.
class cline_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  bool translate_event(const json& event);
  bool translate_content(const std::string& type, const json& event);
};

} // namespace sandy::agents
