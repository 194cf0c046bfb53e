#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace {

/// What fails is told by the tests; the log is for who asks: SANDY_TEST_LOG=debug. A test that reads it
/// brings a logger of its own.
[[maybe_unused]] const bool silenced = [] {
  const auto* wanted = std::getenv("SANDY_TEST_LOG");
  spdlog::set_level(wanted == nullptr ? spdlog::level::off : spdlog::level::from_str(wanted));
  return true;
}();

} // namespace
