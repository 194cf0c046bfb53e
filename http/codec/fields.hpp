#pragma once

#include "messages/error.hpp"
#include "messages/sandbox.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::codec {

/// The deepest nesting that JSON of others may have: clients use three levels, parsers of hostile input need
/// a bound.
inline constexpr std::size_t max_json_depth = 64;

/// JSON that somebody else wrote; discarded when it is none, or nested too deeply.
nlohmann::json parse_untrusted(std::string_view text);

/// The body as a JSON object; nothing but white space, and `null`, mean {}. Fails with invalid_argument for
/// what is no JSON and with validation_failed for JSON that is no object.
result<nlohmann::json> parse_object(std::string_view body);

/// The spellings of one field, the preferred first: mistakes are reported under that name.
using spellings = std::initializer_list<std::string_view>;

/// Reads the fields of one object tolerantly: several spellings, numbers and booleans as strings, null as
/// absent, unknown fields ignored. The first mistake is kept; afterwards the rest reads as absent. Refers to
/// the object, does not own it.
class field_reader {
public:
  /// @param prefix put before names in messages, e.g. "resources.".
  explicit field_reader(const nlohmann::json& object, std::string prefix = {});

  /// First spelling that is present and not null; nullptr when there is none.
  const nlohmann::json* find(spellings names) const;

  std::optional<std::string> text(spellings names);
  std::optional<bool> boolean(spellings names);
  /// Any finite number.
  std::optional<double> number(spellings names);
  /// A whole number from `low` to `high`; others are invalid_argument.
  std::optional<std::int64_t> whole(spellings names, std::int64_t low, std::int64_t high);
  /// Permission bits: a number, or a string in octal.
  std::optional<std::uint32_t> mode(spellings names);
  /// A path inside a sandbox: not empty, no NUL, shorter than the kernel's limit.
  std::optional<std::string> path(spellings names);
  /// Appends the ports of one field to `ports`, each once.
  void ports(spellings names, std::vector<std::uint16_t>& ports);
  /// The union of all spellings present; where they disagree the first spelling wins.
  environment env(spellings names);

  /// Records a mistake, unless there is one already.
  void refuse(errc code, std::string text);
  /// The required field is not there.
  void missing(std::string_view name);
  bool failed() const noexcept { return static_cast<bool>(error_); }
  const caf::error& error() const noexcept { return error_; }

private:
  void wrong_type(std::string_view name, std::string_view wanted);
  void merge_env(std::string_view name, const nlohmann::json& object, environment& into);

  const nlohmann::json& object_;
  std::string prefix_;
  caf::error error_;
};

/// A number from JSON's number or from a numeric string; none for anything else, and for what is not finite.
std::optional<double> loose_number(const nlohmann::json& value);
std::optional<double> loose_number(std::string_view text);
/// "true", "1", "yes", "on" or empty (a bare query parameter) are true; "false", "0", "no", "off" false;
/// others none.
std::optional<bool> loose_boolean(std::string_view text);
/// Permission bits in octal: "0644", "755", "0o755"; none when it is not that or over 07777.
std::optional<std::uint32_t> octal_mode(std::string_view text);

/// Says what is wrong with a path inside a sandbox; no error for a good one. @param name of the field, for
/// the message.
caf::error check_path(std::string_view path, std::string_view name);

std::string lower(std::string_view text);
std::string_view trim(std::string_view text);

} // namespace sandy::http::codec
