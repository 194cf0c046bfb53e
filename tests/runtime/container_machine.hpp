#pragma once

#include "tests/runtime/inside.hpp"

#include "runtime/driver.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sandy::test {

/// A machine with a sandbox, for containers in it.
template <class Machine>
struct container_machine : Machine {
  container_machine()
      : about(this->spec())
      , home(this->create(about)) {}

  runtime::container_spec wanted() const {
    return {make_container_id(), about.id, about.image, about.limits, about.uid_slot};
  }
  runtime::instance make(const runtime::container_spec& what) {
    auto made = this->driver().create_container(what);
    if (!made)
      FAIL(text_of(made.error()));
    return std::move(*made);
  }
  /// The output of a script that has to go well.
  std::string printed(const runtime::instance& where, const std::string& script) {
    auto done = run_inside(where, script);
    INFO(done.failure << done.errors);
    CHECK(done.exit_code == 0);
    return done.output;
  }
  void check_nothing_left() {
    auto done = this->driver().destroy(about.id);
    if (!done)
      FAIL(text_of(done.error()));
    CHECK(this->traces() == std::vector<std::string>{});
  }

  runtime::sandbox_spec about;
  runtime::instance home;
};

} // namespace sandy::test
