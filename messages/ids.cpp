#include "messages/ids.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <system_error>

namespace sandy {

sandbox_id make_sandbox_id(std::string_view node) {
  std::array<unsigned char, 12> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw std::system_error(errno, std::generic_category(), "getrandom");
  static constexpr std::string_view digits = "0123456789abcdef";
  sandbox_id id;
  id.value.reserve(2 * random.size());
  for (auto byte : random) {
    id.value += digits[byte >> 4];
    id.value += digits[byte & 15];
  }
  id.value.replace(0, node.size(), node);
  return id;
}

bool is_sandbox_id(std::string_view text) noexcept {
  return text.size() == 24 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

layer_id make_layer_id() { return {make_sandbox_id().value}; }

bool is_layer_id(std::string_view text) noexcept { return is_sandbox_id(text); }

} // namespace sandy
