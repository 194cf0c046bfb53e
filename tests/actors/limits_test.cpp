#include "actors/limits.hpp"

#include <catch2/catch.hpp>

using namespace sandy;

TEST_CASE("what the caller asks wins over the flavor, the flavor over the defaults, the maximum over all",
          "[limits]") {
  worker_settings settings;
  settings.default_limits = {100, 1000, 10, 1000};
  settings.max_limits = {500, 2000, 20, 5000};
  resource_limits none;
  resource_limits of_flavor{200, 0, 15, 0};

  auto limits = effective_limits(none, none, settings);
  CHECK(limits.memory_bytes == 100);
  CHECK(limits.disk_bytes == 1000);

  limits = effective_limits(none, of_flavor, settings);
  CHECK(limits.memory_bytes == 200);
  CHECK(limits.cpu_millis == 1000);
  CHECK(limits.pids == 15);

  limits = effective_limits({300, 9000, 3, 9000}, of_flavor, settings);
  CHECK(limits.memory_bytes == 300);
  CHECK(limits.cpu_millis == 2000);
  CHECK(limits.pids == 3);
  CHECK(limits.disk_bytes == 5000);
}

TEST_CASE("a lifetime is defaulted and clamped", "[limits]") {
  worker_settings settings;
  settings.default_ttl = std::chrono::seconds{100};
  settings.max_ttl = std::chrono::seconds{1000};
  CHECK(effective_ttl(0, false, settings) == 100);
  CHECK(effective_ttl(999, false, settings) == 999);
  CHECK(effective_ttl(5000, false, settings) == 1000);
  settings.max_ttl = std::chrono::seconds{0};
  CHECK(effective_ttl(5000, false, settings) == 5000);
}
