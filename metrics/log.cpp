#include "metrics/log.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sandy {

namespace {

spdlog::level::level_enum to_spdlog(log_level level) noexcept {
  switch (level) {
  case log_level::trace:
    return spdlog::level::trace;
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warn:
    return spdlog::level::warn;
  case log_level::error:
    return spdlog::level::err;
  }
  return spdlog::level::err;
}

struct append_value {
  std::string& out;

  void operator()(std::string_view text) const { out += json_quoted(text); }
  void operator()(bool truth) const { out += truth ? "true" : "false"; }
  void operator()(double number) const {
    if (std::isfinite(number))
      append_number(number);
    else
      out += "null"; // JSON has no word for it
  }
  void operator()(std::int64_t number) const { append_number(number); }
  void operator()(std::uint64_t number) const { append_number(number); }

private:
  void append_number(auto number) const {
    char buffer[32];
    auto end = std::to_chars(std::begin(buffer), std::end(buffer), number).ptr;
    out.append(std::begin(buffer), end);
  }
};

} // namespace

bool log_enabled(log_level level) noexcept {
  return spdlog::default_logger_raw()->should_log(to_spdlog(level));
}

void log_event(log_level level, std::string_view event, std::initializer_list<log_field> fields) noexcept {
  if (!log_enabled(level))
    return;
  try {
    std::string line;
    line.reserve(64 + 32 * fields.size());
    line += R"({"event":)";
    line += json_quoted(event);
    for (const auto& field : fields) {
      line += ",\"";
      line += field.key;
      line += "\":";
      std::visit(append_value{line}, field.value);
    }
    line += '}';
    spdlog::default_logger_raw()->log(to_spdlog(level), spdlog::string_view_t(line));
  } catch (const std::bad_alloc&) {
    // A log line is worth less than the work it describes.
  }
}

std::string json_quoted(std::string_view text) {
  // Ids, routes and most messages need no escaping; the rest goes through the JSON library, which also
  // repairs UTF-8.
  bool plain = std::all_of(text.begin(), text.end(),
                           [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) {
    std::string quoted;
    quoted.reserve(text.size() + 2);
    quoted += '"';
    quoted += text;
    quoted += '"';
    return quoted;
  }
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace sandy
