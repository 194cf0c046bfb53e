#pragma once

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sandy::test {

/// A new directory that goes with its owner.
class temporary_directory {
public:
  temporary_directory() {
    char name[] = "/tmp/sandy-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() { std::filesystem::remove_all(path); }

  std::string path;
};

} // namespace sandy::test
