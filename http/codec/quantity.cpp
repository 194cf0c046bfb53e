#include "http/codec/quantity.hpp"

#include "http/codec/fields.hpp"

#include <cmath>
#include <string>

namespace sandy::http::codec {

namespace {

constexpr double bytes_max = 1e18;
constexpr double cores_max = 100'000;

std::optional<double> factor_of(std::string unit) {
  if (unit.ends_with('b')) // "gb", "gib"
    unit.pop_back();
  if (unit.empty())
    return 1;
  double base = unit.ends_with('i') ? 1024 : 1000;
  if (base == 1024)
    unit.pop_back();
  auto power = std::string_view{"kmgt"}.find(unit);
  if (unit.size() != 1 || power == std::string_view::npos)
    return std::nullopt;
  return std::pow(base, static_cast<double>(power + 1));
}

std::optional<std::uint64_t> in_bytes(double amount) {
  if (!(amount >= 0) || amount > bytes_max)
    return std::nullopt;
  return static_cast<std::uint64_t>(amount);
}

std::optional<std::uint32_t> in_millis(double cores) {
  if (!(cores >= 0) || cores > cores_max)
    return std::nullopt;
  return static_cast<std::uint32_t>(std::lround(cores * 1000));
}

std::optional<std::uint64_t> bytes_of_text(std::string_view text) {
  text = trim(text);
  auto unit_at = text.find_first_not_of("0123456789.+");
  auto amount = loose_number(text.substr(0, unit_at));
  auto factor =
      factor_of(unit_at == std::string_view::npos ? std::string{} : lower(trim(text.substr(unit_at))));
  if (!amount || !factor)
    return std::nullopt;
  return in_bytes(*amount * *factor);
}

std::optional<std::uint32_t> cores_of_text(std::string_view text) {
  text = trim(text);
  double factor = 1;
  if (text.ends_with('m')) {
    text.remove_suffix(1);
    factor = 0.001;
  }
  auto number = loose_number(text);
  return number ? in_millis(*number * factor) : std::nullopt;
}

} // namespace

std::optional<std::uint64_t> parse_bytes(const nlohmann::json& value) {
  if (value.is_string())
    return bytes_of_text(std::string_view{value.get_ref<const std::string&>()});
  auto number = loose_number(value);
  return number ? in_bytes(*number) : std::nullopt;
}

std::optional<std::uint32_t> parse_cores(const nlohmann::json& value) {
  if (value.is_string())
    return cores_of_text(std::string_view{value.get_ref<const std::string&>()});
  auto number = loose_number(value);
  return number ? in_millis(*number) : std::nullopt;
}

} // namespace sandy::http::codec
