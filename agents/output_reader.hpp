#pragma once

#include "agents/dialect.hpp"
#include "agents/line_splitter.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// Reads an agent's standard output, in parts of any size, in its dialect. One per run.
class output_reader {
public:
  explicit output_reader(const definition& agent);

  /// What the lines that are complete with `bytes` mean. A line over `line_splitter::longest` becomes an
  /// output that says so and outputs of its pieces.
  std::vector<event> read(std::string_view bytes);

  /// The output ended: what its last line means, and what the dialect held back.
  std::vector<event> finish();

  /// What the agent said about itself so far.
  const dialect& said() const noexcept { return *dialect_; }

private:
  line_splitter::receiver into(std::vector<event>& events);

  std::unique_ptr<dialect> dialect_;
  line_splitter lines_;
};

} // namespace sandy::agents
