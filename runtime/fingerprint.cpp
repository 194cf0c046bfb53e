#include "runtime/fingerprint.hpp"

#include <charconv>
#include <cstdint>

namespace sandy::runtime {

std::string fingerprint(std::string_view data_dir) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : data_dir)
    hash = (hash ^ c) * 0x100000001b3;
  char digits[17] = {};
  std::to_chars(digits, digits + 16, hash, 16);
  return digits;
}

} // namespace sandy::runtime
