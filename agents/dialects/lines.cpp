#include "agents/dialects/lines.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

bool has_one_of(std::string_view line, const std::vector<std::string>& texts) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const auto& text) { return line.find(text) != std::string_view::npos; });
}

} // namespace

void lines_dialect::read(std::string_view line, std::vector<event>& into) {
  if (has_one_of(line, telling_.failure)) {
    ending_ = terminal::failure;
    failure_ = line;
  } else if (has_one_of(line, telling_.recovery)) {
    ending_ = terminal::none;
    failure_.clear();
  }
  into.push_back(output{std::string(line)});
}

} // namespace sandy::agents
