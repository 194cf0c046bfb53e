#pragma once

#include "agents/dialects/translator.hpp"

#include <set>
#include <string>

namespace sandy::agents {

/// `codex exec --json`. Says whole texts, no parts of them. An item of type `error` is a remark, not a
/// failure.
class codex_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  bool translate_item(const json& item, bool completed);
  void translate_use(const std::string& id, const std::string& type, const json& item);

  std::set<std::string, std::less<>> started_; ///< ids of items whose use of a tool was said
};

} // namespace sandy::agents
