#include "app/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace sandy {

namespace {

struct unit {
  std::string_view suffix;
  std::uint64_t factor;
};

constexpr std::array<unit, 9> sizes{{{"Ti", 1ull << 40},
                                     {"Gi", 1ull << 30},
                                     {"Mi", 1ull << 20},
                                     {"Ki", 1ull << 10},
                                     {"T", 1'000'000'000'000},
                                     {"G", 1'000'000'000},
                                     {"M", 1'000'000},
                                     {"K", 1000},
                                     {"", 1}}};

constexpr std::array<unit, 5> durations{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

/// The number at the start of the text, which is cut off it. Negative when there is none.
double take_number(std::string_view& text) {
  double value = -1;
  // from_chars would also take signs, exponents and words such as "inf".
  auto digits = text.find_first_not_of("0123456789.");
  auto number = text.substr(0, digits);
  auto [end, failed] =
      std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
  if (failed != std::errc{} || end != number.data() + number.size())
    return -1;
  text.remove_prefix(number.size());
  return value;
}

} // namespace

result<std::uint64_t> parse_size(std::string_view text) {
  auto wrong = [] { return fail(errc::invalid_argument, "is not a size such as 512Mi or 4Gi"); };
  auto rest = text;
  auto value = take_number(rest);
  if (value < 0)
    return wrong();
  if (rest.ends_with('B'))
    rest.remove_suffix(1);
  for (auto [suffix, factor] : sizes)
    if (rest == suffix) {
      auto bytes = value * static_cast<double>(factor);
      if (bytes >= 0x1p63) // the largest that the store can hold
        return fail(errc::invalid_argument, "is too large");
      return static_cast<std::uint64_t>(bytes);
    }
  return wrong();
}

std::string print_size(std::uint64_t bytes) {
  for (auto [suffix, factor] : sizes)
    if (bytes >= factor && bytes % factor == 0 && (factor & (factor - 1)) == 0)
      return std::to_string(bytes / factor) + std::string(suffix);
  return std::to_string(bytes);
}

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  auto wrong = [] {
    return fail(errc::invalid_argument, "is not a duration such as 500ms, 30s, 10m or 1h30m");
  };
  double total = 0;
  auto rest = text;
  if (rest.empty())
    return wrong();
  while (!rest.empty()) {
    auto value = take_number(rest);
    if (value < 0)
      return wrong();
    auto suffix = rest.substr(0, rest.find_first_of("0123456789."));
    if (suffix.empty() && rest.size() == 0 &&
        text.find_first_not_of("0123456789.") == std::string_view::npos) {
      total = value * 1000;
      break;
    }
    auto found = durations.begin();
    while (found != durations.end() && found->suffix != suffix)
      ++found;
    if (found == durations.end())
      return wrong();
    total += value * static_cast<double>(found->factor);
    rest.remove_prefix(suffix.size());
  }
  if (total > 1e12) // thirty years: beyond, sums of times overflow somewhere
    return fail(errc::invalid_argument, "is too long");
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::llround(total)));
}

std::string print_duration(std::chrono::milliseconds duration) {
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (rest == 0)
    return "0s";
  std::string text;
  for (auto [suffix, factor] : durations) {
    if (factor == 86'400'000)
      continue; // "24h" is what people say
    if (auto whole = rest / factor) {
      text += std::to_string(whole) + std::string(suffix);
      rest %= factor;
    }
  }
  return text;
}

result<std::uint32_t> parse_cores(std::string_view text) {
  auto rest = text;
  auto value = take_number(rest);
  if (value < 0 || (!rest.empty() && rest != "m"))
    return fail(errc::invalid_argument, "is not a number of cores such as 2, 0.5 or 500m");
  auto millis = rest.empty() ? value * 1000 : value;
  if (millis > 10'000'000)
    return fail(errc::invalid_argument, "is too large");
  return static_cast<std::uint32_t>(std::lround(millis));
}

std::string print_cores(std::uint32_t millis) {
  if (millis % 1000 == 0)
    return std::to_string(millis / 1000);
  return std::to_string(millis) + "m";
}

result<std::uint32_t> parse_count(std::string_view text) {
  std::uint32_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed == std::errc::result_out_of_range)
    return fail(errc::invalid_argument, "is too large");
  if (failed != std::errc{} || end != text.data() + text.size())
    return fail(errc::invalid_argument, "is not a whole number");
  return value;
}

} // namespace sandy
