#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace sandy {

enum class log_level : std::uint8_t { trace, debug, info, warn, error };

/// One `"key": value` of a log line. Views: lives as long as the call it is written in.
struct log_field {
  using value_type = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  log_field(std::string_view name, std::string_view text)
      : key(name)
      , value(text) {}
  log_field(std::string_view name, const std::string& text)
      : key(name)
      , value(std::string_view(text)) {}
  log_field(std::string_view name, const char* text)
      : key(name)
      , value(std::string_view(text)) {}
  log_field(std::string_view name, double number)
      : key(name)
      , value(number) {}
  log_field(std::string_view name, std::same_as<bool> auto truth)
      : key(name)
      , value(truth) {}
  log_field(std::string_view name, std::signed_integral auto number)
      : key(name)
      , value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  log_field(std::string_view name, Number number)
      : key(name)
      , value(static_cast<std::uint64_t>(number)) {}

  std::string_view key;
  value_type value;
};

/// True when lines of this level are written: ask before computing costly fields.
bool log_enabled(log_level level) noexcept;

/// Writes one event, e.g. log_event(log_level::info, "sandbox_ready", {{"sandbox_id", id.value},
/// {"duration_ms", 21}}). Time and level are added. Keys are ours and need no escaping; values may be any
/// bytes. Never fails, never throws; from any thread. Never pass secrets.
/// @param event a fixed word in snake_case: what people search for.
void log_event(log_level level, std::string_view event,
               std::initializer_list<log_field> fields = {}) noexcept;

/// The text as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD.
std::string json_quoted(std::string_view text);

} // namespace sandy
