#include "http/codec/base64.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sandy::http::codec {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto reverse = [] {
  std::array<std::int8_t, 256> table{};
  for (auto& each : table)
    each = -1;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}();

void append_group(std::string& out, std::string_view bytes) {
  auto at = [&](std::size_t i) -> std::uint32_t {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
  };
  auto bits = at(0) << 16 | at(1) << 8 | at(2);
  out.push_back(alphabet[bits >> 18]);
  out.push_back(alphabet[bits >> 12 & 63]);
  out.push_back(bytes.size() > 1 ? alphabet[bits >> 6 & 63] : '=');
  out.push_back(bytes.size() > 2 ? alphabet[bits & 63] : '=');
}

} // namespace

void base64_encoder::feed(std::string& out, std::string_view piece) {
  if (!held_.empty()) {
    auto taken = std::min(3 - held_.size(), piece.size());
    held_.append(piece.substr(0, taken));
    piece.remove_prefix(taken);
    if (held_.size() < 3)
      return;
    append_group(out, held_);
    held_.clear();
  }
  out.reserve(out.size() + piece.size() / 3 * 4 + 4);
  for (; piece.size() >= 3; piece.remove_prefix(3))
    append_group(out, piece.substr(0, 3));
  held_.assign(piece);
}

void base64_encoder::finish(std::string& out) {
  if (!held_.empty())
    append_group(out, held_);
  held_.clear();
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  base64_encoder encoder;
  encoder.feed(out, bytes);
  encoder.finish(out);
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  int have = 0;
  int padding = 0;
  for (char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
      continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    auto value = reverse[static_cast<unsigned char>(c)];
    if (value < 0 || padding > 0)
      return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++have == 4) {
      out.append({static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)});
      bits = 0;
      have = 0;
    }
  }
  if (have == 1 || (padding > 0 && have + padding != 4))
    return std::nullopt;
  if (have >= 2)
    out.push_back(static_cast<char>(bits >> (have == 2 ? 4 : 10)));
  if (have == 3)
    out.push_back(static_cast<char>(bits >> 2));
  return out;
}

} // namespace sandy::http::codec
