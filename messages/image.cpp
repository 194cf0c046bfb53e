#include "messages/image.hpp"

#include <algorithm>

namespace sandy {

bool is_image_name(std::string_view text) noexcept {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 128 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

} // namespace sandy
