#include "http/codec/header_values.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"

#include <algorithm>

namespace sandy::http::codec {

namespace {

constexpr std::size_t sha256_bytes = 32;

/// Cuts the part before `separator` off `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  auto end = rest.find(separator);
  auto part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return trim(part);
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

} // namespace

result<std::optional<byte_range>> parse_range(std::string_view header, std::uint64_t size) {
  using answer = std::optional<byte_range>;
  header = trim(header);
  if (!lower(header.substr(0, 6)).starts_with("bytes=") || header.find(',') != std::string_view::npos)
    return answer{};
  auto spec = trim(header.substr(6));
  auto dash = spec.find('-');
  if (dash == std::string_view::npos)
    return answer{};
  auto from = trim(spec.substr(0, dash));
  auto to = trim(spec.substr(dash + 1));
  auto first = parse_count(from);
  auto last = parse_count(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (!first && !last) ||
      (first && last && *last < *first))
    return answer{};
  auto outside = [&] {
    return fail(errc::range_not_satisfiable, "The file has only " + std::to_string(size) + " bytes");
  };
  if (!first) { // the last N bytes
    if (*last == 0 || size == 0)
      return outside();
    auto length = std::min(*last, size);
    return answer{byte_range{size - length, length}};
  }
  if (*first >= size)
    return outside();
  auto end = last ? std::min(*last, size - 1) : size - 1;
  return answer{byte_range{*first, end - *first + 1}};
}

result<std::optional<std::string>> announced_sha256(std::string_view x_content_sha256,
                                                    std::string_view digest_field) {
  using answer = std::optional<std::string>;
  if (auto hex = lower(trim(x_content_sha256)); !hex.empty()) {
    if (hex.size() != 2 * sha256_bytes || !is_hex(hex))
      return fail(errc::invalid_argument, "X-Content-SHA256 must be 64 hexadecimal digits");
    return answer{std::move(hex)};
  }
  while (!digest_field.empty()) {
    auto member = next_part(digest_field, ',');
    auto equals = member.find('=');
    if (equals == std::string_view::npos || lower(trim(member.substr(0, equals))) != "sha-256")
      continue;
    auto value = trim(member.substr(equals + 1));
    std::optional<std::string> bytes;
    if (value.size() > 2 && value.starts_with(':') && value.ends_with(':'))
      bytes = base64_decode(value.substr(1, value.size() - 2));
    if (!bytes || bytes->size() != sha256_bytes)
      return fail(errc::invalid_argument, "The sha-256 digest must be 32 bytes in base64 between colons");
    return answer{to_hex(*bytes)};
  }
  return answer{};
}

bool accepts(std::string_view header, std::string_view wanted) {
  while (!header.empty())
    if (media_type(next_part(header, ',')) == wanted)
      return true;
  return false;
}

std::string media_type(std::string_view header) { return lower(trim(header.substr(0, header.find(';')))); }

std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

} // namespace sandy::http::codec
