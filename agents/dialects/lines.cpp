#include "agents/dialects/lines.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

bool begins_with_one_of(std::string_view line, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const auto& prefix) { return line.starts_with(prefix); });
}

} // namespace

void lines_dialect::read(std::string_view line, std::vector<event>& into) {
  if (begins_with_one_of(line, telling_.failure)) {
    ending_ = terminal::failure;
    failure_ = line;
  } else if (begins_with_one_of(line, telling_.recovery)) {
    ending_ = terminal::none;
    failure_.clear();
  }
  into.push_back(output{std::string(line)});
}

} // namespace sandy::agents
