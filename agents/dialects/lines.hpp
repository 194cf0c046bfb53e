#pragma once

#include "agents/dialect.hpp"

#include <utility>

namespace sandy::agents {

/// A program that prints for people. Each line is an output. It succeeded when it exits with 0, unless one of
/// its lines told a failure.
class lines_dialect : public dialect {
public:
  explicit lines_dialect(telling_lines telling)
      : telling_(std::move(telling)) {}

  void read(std::string_view line, std::vector<event>& into) override;
  void finish(std::vector<event>&) override {}
  bool succeeded(int exit_code) const noexcept override {
    return exit_code == 0 && ending_ != terminal::failure;
  }

private:
  telling_lines telling_;
};

} // namespace sandy::agents
