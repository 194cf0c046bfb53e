#include "messages/limiter.hpp"

namespace sandy {

std::string refusal_text(budget_kind spent) {
  switch (spent) { // no default: the compiler leads a new kind here
  case budget_kind::none:
    return {};
  case budget_kind::requests:
    return "Request rate limit exceeded.";
  case budget_kind::creations:
    return "Sandbox creation rate limit exceeded.";
  case budget_kind::streams:
    return "Concurrent command and stream limit exceeded.";
  }
  return {};
}

} // namespace sandy
