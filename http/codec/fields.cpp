#include "http/codec/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

// The kernel's PATH_MAX, its terminator included.
constexpr std::size_t path_max = 4096;
// Many variables in one request are a mistake: the kernel refuses arguments and environment over a share of
// the stack, and all of it travels to the sandbox in one bounded frame.
constexpr std::size_t env_bytes_max = 512 * 1024;
constexpr std::size_t ports_max = 256;

/// True when brackets outside of strings nest deeper than allowed. The parser itself recurses nowhere, but
/// copying and printing its tree does.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_json_depth)
        return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

std::optional<std::string> scalar_text(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_number() || value.is_boolean())
    return value.dump();
  return std::nullopt;
}

} // namespace

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  auto begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

json parse_untrusted(std::string_view text) {
  return too_deep(text) ? json(json::value_t::discarded) : json::parse(text, nullptr, false);
}

result<json> parse_object(std::string_view body) {
  if (trim(body).empty())
    return json::object();
  if (too_deep(body))
    return fail(errc::invalid_argument, "The JSON body is nested too deeply");
  auto value = json::parse(body, nullptr, false);
  if (value.is_discarded())
    return fail(errc::invalid_argument, "The body is not valid JSON");
  if (value.is_null())
    return json::object();
  if (!value.is_object())
    return fail(errc::validation_failed, "The body must be a JSON object");
  return value;
}

std::optional<double> loose_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+'))
    text.remove_prefix(1);
  double value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<double> loose_number(const json& value) {
  if (value.is_number()) {
    auto number = value.get<double>();
    return std::isfinite(number) ? std::optional{number} : std::nullopt;
  }
  if (value.is_string())
    return loose_number(std::string_view{value.get_ref<const std::string&>()});
  return std::nullopt;
}

std::optional<bool> loose_boolean(std::string_view text) {
  auto word = lower(trim(text));
  if (word.empty() || word == "true" || word == "1" || word == "yes" || word == "on")
    return true;
  if (word == "false" || word == "0" || word == "no" || word == "off")
    return false;
  return std::nullopt;
}

std::optional<std::uint32_t> octal_mode(std::string_view text) {
  text = trim(text);
  if (text.starts_with("0o") || text.starts_with("0O"))
    text.remove_prefix(2);
  std::uint32_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (ec != std::errc{} || end != text.data() + text.size() || value > 07777)
    return std::nullopt;
  return value;
}

caf::error check_path(std::string_view path, std::string_view name) {
  if (path.empty())
    return fail(errc::invalid_argument, std::string{name} + " must not be empty");
  if (path.find('\0') != std::string_view::npos)
    return fail(errc::invalid_argument, std::string{name} + " must not contain a NUL character");
  if (path.size() >= path_max)
    return fail(errc::invalid_argument, std::string{name} + " is too long");
  return {};
}

field_reader::field_reader(const json& object, std::string prefix)
    : object_(object)
    , prefix_(std::move(prefix)) {}

const json* field_reader::find(spellings names) const {
  if (failed())
    return nullptr;
  for (auto name : names) {
    auto at = object_.find(name);
    if (at != object_.end() && !at->is_null())
      return &*at;
  }
  return nullptr;
}

void field_reader::refuse(errc code, std::string text) {
  if (!failed())
    error_ = fail(code, std::move(text));
}

void field_reader::missing(std::string_view name) {
  refuse(errc::validation_failed, prefix_ + std::string{name} + " is required");
}

void field_reader::wrong_type(std::string_view name, std::string_view wanted) {
  refuse(errc::validation_failed, prefix_ + std::string{name} + " must be " + std::string{wanted});
}

std::optional<std::string> field_reader::text(spellings names) {
  auto* value = find(names);
  if (value == nullptr)
    return std::nullopt;
  if (!value->is_string()) {
    wrong_type(*names.begin(), "a string");
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<bool> field_reader::boolean(spellings names) {
  auto* value = find(names);
  if (value == nullptr)
    return std::nullopt;
  if (value->is_boolean())
    return value->get<bool>();
  auto word = scalar_text(*value);
  auto truth = word && !trim(*word).empty() ? loose_boolean(*word) : std::nullopt;
  if (!truth)
    wrong_type(*names.begin(), "true or false");
  return truth;
}

std::optional<double> field_reader::number(spellings names) {
  auto* value = find(names);
  if (value == nullptr)
    return std::nullopt;
  auto number = loose_number(*value);
  if (!number)
    wrong_type(*names.begin(), "a number");
  return number;
}

std::optional<std::int64_t> field_reader::whole(spellings names, std::int64_t low, std::int64_t high) {
  auto value = number(names);
  if (!value)
    return std::nullopt;
  if (*value != std::floor(*value) || *value < static_cast<double>(low) ||
      *value > static_cast<double>(high)) {
    refuse(errc::invalid_argument, prefix_ + std::string{*names.begin()} + " must be a whole number from " +
                                       std::to_string(low) + " to " + std::to_string(high));
    return std::nullopt;
  }
  return static_cast<std::int64_t>(*value);
}

std::optional<std::uint32_t> field_reader::mode(spellings names) {
  auto* value = find(names);
  if (value == nullptr)
    return std::nullopt;
  std::optional<std::uint32_t> bits;
  if (value->is_string()) {
    bits = octal_mode(value->get_ref<const std::string&>());
  } else if (value->is_number()) {
    auto number = value->get<double>();
    if (number >= 0 && number <= 07777 && number == std::floor(number))
      bits = static_cast<std::uint32_t>(number);
  } else {
    wrong_type(*names.begin(), "a number or an octal string");
    return std::nullopt;
  }
  if (!bits)
    refuse(errc::invalid_argument,
           prefix_ + std::string{*names.begin()} + " must be permission bits, such as \"0644\"");
  return bits;
}

std::optional<std::string> field_reader::path(spellings names) {
  auto value = text(names);
  if (!value)
    return std::nullopt;
  if (auto err = check_path(*value, prefix_ + std::string{*names.begin()})) {
    if (!failed())
      error_ = std::move(err);
    return std::nullopt;
  }
  return value;
}

void field_reader::ports(spellings names, std::vector<std::uint16_t>& ports) {
  auto* value = find(names);
  if (value == nullptr)
    return;
  if (!value->is_array())
    return wrong_type(*names.begin(), "an array of port numbers");
  for (const auto& each : *value) {
    auto port = loose_number(each);
    if (!port)
      return wrong_type(*names.begin(), "an array of port numbers");
    if (*port < 1 || *port > 65535 || *port != std::floor(*port))
      return refuse(errc::invalid_argument,
                    prefix_ + std::string{*names.begin()} + ": a port is a number from 1 to 65535");
    auto number = static_cast<std::uint16_t>(*port);
    if (std::find(ports.begin(), ports.end(), number) == ports.end())
      ports.push_back(number);
    if (ports.size() > ports_max)
      return refuse(errc::invalid_argument, prefix_ + std::string{*names.begin()} + " has too many ports");
  }
}

void field_reader::merge_env(std::string_view name, const json& object, environment& into) {
  if (!object.is_object())
    return wrong_type(name, "an object of strings");
  for (const auto& [key, value] : object.items()) {
    if (value.is_null())
      continue;
    auto text = scalar_text(value);
    if (!text)
      return wrong_type(name, "an object of strings");
    if (key.empty() || key.find('=') != std::string::npos || key.find('\0') != std::string::npos)
      return refuse(errc::invalid_argument,
                    prefix_ + std::string{name} + " has a name that no variable can have");
    if (text->find('\0') != std::string::npos)
      return refuse(errc::invalid_argument,
                    prefix_ + std::string{name} + " has a value with a NUL character");
    auto same = [&](const auto& pair) { return pair.first == key; };
    if (std::none_of(into.begin(), into.end(), same))
      into.emplace_back(key, std::move(*text));
  }
}

environment field_reader::env(spellings names) {
  environment merged;
  for (auto name : names)
    if (auto* value = find({name}))
      merge_env(name, *value, merged);
  std::size_t bytes = 0;
  for (const auto& [key, value] : merged)
    bytes += key.size() + value.size() + 2;
  if (bytes > env_bytes_max)
    refuse(errc::invalid_argument, prefix_ + std::string{*names.begin()} + " is larger than 512 KiB");
  return failed() ? environment{} : merged;
}

} // namespace sandy::http::codec
