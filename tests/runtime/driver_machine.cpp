#include "tests/runtime/driver_machine.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

namespace sandy::test {

void driver_machine::await_image(const runtime::sandbox_spec& wanted) {
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{5};
       std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds{20}))
    if (auto ready = driver().prepare_image(wanted); !ready || *ready)
      return; // what cannot be had fails again when it is used
}

runtime::instance driver_machine::create(const runtime::sandbox_spec& wanted) {
  await_image(wanted);
  auto made = driver().create(wanted);
  if (!made)
    FAIL(text_of(made.error()));
  return std::move(*made);
}

} // namespace sandy::test
