#pragma once

#include "agents/dialects/translator.hpp"

namespace sandy::agents {

/// `pi --mode json`. Each part of a text repeats the whole message so far, and it exits with 0 after a
/// failure.
class pi_dialect : public translator {
protected:
  bool translate(const json& said) override;

private:
  bool end_message(const json& message);
  void end(const json& said);
};

} // namespace sandy::agents
