#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace sandy::agents {

/// Keeps its members in the order in which they were set: people read what we send.
using json = nlohmann::ordered_json;

/// Deepest nesting of objects and lists that is read. Programs print a dozen; what nests deeper only tries
/// our stack, since printing a value takes one frame per level.
inline constexpr std::size_t deepest_json = 64;

/// The JSON object in `text`, or nothing: not JSON, not an object, nested too deep, numbers that no double
/// holds. Never throws.
std::optional<json> parse_object(std::string_view text);

/// `line` with what makes JSON invalid in texts that are otherwise sound: bytes that are no UTF-8, and
/// escapes of half a surrogate pair, as languages with UTF-16 strings print them when they cut one. Each
/// becomes U+FFFD.
std::string mended(std::string_view line);

/// `value` on one line, as valid UTF-8: what is not becomes U+FFFD. Never throws for what `parse_object`
/// gave.
std::string to_line(const json& value);

/// `text` as a JSON string with its quotes, which is also a TOML string. Valid UTF-8 always.
std::string json_quoted(std::string_view text);

/// `text` with each byte that is no part of a valid UTF-8 sequence replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// Bytes of `text`, at most `limit`, after which it may be cut without splitting a character.
std::size_t cut_at(std::string_view text, std::size_t limit);

/// The member `name`, or null if `object` is no object or has none. The reference lives as long as `object`.
const json& at(const json& object, std::string_view name);

/// The member `name` if it is a text; else `otherwise`.
std::string text_at(const json& object, std::string_view name, std::string_view otherwise = {});

/// The member `name` if it is a number that a count can be; else 0.
std::uint64_t count_at(const json& object, std::string_view name);

/// Whether the member `name` is `true`.
bool true_at(const json& object, std::string_view name);

/// What a person reads in `value`: a text is itself, null is nothing, anything else its JSON.
std::string shown(const json& value);

} // namespace sandy::agents
