#pragma once

// What every driver promises (runtime/driver.hpp), as checks that a driver's own test runs: give it a
// subject.

#include "runtime/driver.hpp"

#include <functional>
#include <string>
#include <vector>

namespace sandy::test {

/// A driver under test and how to look at it from the outside.
struct conformance_subject {
  runtime::driver* driver;
  std::function<runtime::sandbox_spec()> spec;      ///< a new, valid specification each time
  std::function<std::vector<std::string>()> traces; ///< what the machine holds for its sandboxes
  std::function<std::string(const runtime::instance&, const std::string&)>
      output_of; ///< runs a script, its output
  std::function<bool(const runtime::instance&, const std::string&, int)>
      start; ///< starts a script in a group, see driver::make_group
};

void check_life_cycle(const conformance_subject& subject);
void check_listing(const conformance_subject& subject);
void check_refusals(const conformance_subject& subject);
void check_isolation_from_neighbours(const conformance_subject& subject);
void check_ports(const conformance_subject& subject);
void check_listening(const conformance_subject& subject);
void check_stats_and_limits(const conformance_subject& subject);
void check_pausing(const conformance_subject& subject);
void check_groups(const conformance_subject& subject);
void check_parallel_creation(const conformance_subject& subject);

} // namespace sandy::test
