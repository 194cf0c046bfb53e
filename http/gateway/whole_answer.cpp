#include "http/gateway/whole_answer.hpp"

#include "http/codec/fields.hpp"
#include "http/codec/members.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::gateway {

namespace {

// What tells of tokens is no longer.
constexpr std::size_t most_usage = 16 * 1024;

std::uint64_t count_in(const nlohmann::json& usage, const char* name) {
  auto found = usage.find(name);
  return found != usage.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

used_tokens tokens_of(const nlohmann::json& usage) {
  if (!usage.is_object())
    return {};
  return {count_in(usage, "prompt_tokens"), count_in(usage, "completion_tokens")};
}

} // namespace

used_tokens tokens_in(std::string_view chunk) {
  if (chunk.empty())
    return {};
  auto said = codec::parse_untrusted(chunk);
  auto usage = said.is_object() ? said.find("usage") : said.end();
  return usage != said.end() ? tokens_of(*usage) : used_tokens{};
}

result<whole_answer> read_answer(const std::string& text, const std::string& id) {
  // The parser takes a zero byte for the end of its input.
  if (!codec::trim(text).starts_with('{') || text.find('\0') != text.npos || !nlohmann::json::accept(text))
    return fail(errc::upstream_error, "Competitor error: the answer is no JSON object");
  whole_answer made;
  made.text.reserve(text.size() + id.size());
  made.text.append("{\"id\":\"").append(id).append("\"");
  codec::each_member(text, [&](std::string_view key, std::string_view value) {
    if (key == "\"id\"" || (key == "\"usage\"" && value == "null"))
      return;
    made.text.append(",").append(key).append(":").append(value);
    if (key == "\"usage\"" && value.size() <= most_usage)
      made.used = tokens_of(codec::parse_untrusted(value));
  });
  made.text.append("}");
  return made;
}

} // namespace sandy::http::gateway
