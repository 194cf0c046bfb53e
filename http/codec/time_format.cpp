#include "http/codec/time_format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace sandy::http::codec {

namespace {

// From year 0 to 9999: a file's times are whatever its sandbox says, and the formats have four digits.
constexpr unix_millis earliest = -62'167'219'200'000;
constexpr unix_millis latest = 253'402'300'799'999;

struct broken_down {
  std::tm tm{};
  int millis = 0;
};

broken_down split(unix_millis when) {
  when = std::clamp(when, earliest, latest);
  auto seconds = when / 1000;
  auto rest = when % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  broken_down out;
  out.millis = static_cast<int>(rest);
  std::time_t time = seconds;
  ::gmtime_r(&time, &out.tm);
  return out;
}

} // namespace

std::string iso_time(unix_millis when) {
  auto at = split(when);
  std::array<char, 64> text{};
  auto length = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03d+00:00",
                              at.tm.tm_year + 1900, at.tm.tm_mon + 1, at.tm.tm_mday, at.tm.tm_hour,
                              at.tm.tm_min, at.tm.tm_sec, at.millis);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string http_date(unix_millis when) {
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto at = split(when);
  std::array<char, 64> text{};
  auto length = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                              days[at.tm.tm_wday], at.tm.tm_mday, months[at.tm.tm_mon], at.tm.tm_year + 1900,
                              at.tm.tm_hour, at.tm.tm_min, at.tm.tm_sec);
  return {text.data(), static_cast<std::size_t>(length)};
}

} // namespace sandy::http::codec
