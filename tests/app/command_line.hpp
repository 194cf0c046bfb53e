#pragma once

#include "app/cli/arguments.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sandy::cli {

/// What these words ask for; they have to be understood.
template <class Command>
Command accepted(const std::vector<std::string>& words) {
  auto read = parse_arguments(words, {});
  INFO(read.text);
  REQUIRE(read.value);
  REQUIRE(std::holds_alternative<Command>(read.value->what));
  return std::get<Command>(read.value->what);
}

/// The sentence about a mistake in them.
inline std::string refused(const std::vector<std::string>& words) {
  auto read = parse_arguments(words, {});
  REQUIRE_FALSE(read.value);
  CHECK(read.exit_code == 2);
  CHECK(read.text.starts_with("sandy: "));
  return read.text;
}

} // namespace sandy::cli
