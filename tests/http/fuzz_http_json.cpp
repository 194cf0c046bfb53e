// Whatever bytes come as a request's body or headers: the codecs neither crash nor take long, and what they
// accept keeps its promises.

#include "http/codec/base64.hpp"
#include "http/codec/create.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/files.hpp"
#include "http/codec/header_values.hpp"
#include "http/codec/utf8.hpp"
#include "http/codec/write_parser.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

namespace {

using namespace sandy;
using namespace sandy::http::codec;

void require(bool promise) {
  if (!promise)
    std::abort();
}

void check_objects(std::string_view text) {
  auto object = parse_object(text);
  if (!object)
    return;
  if (auto request = parse_create(*object)) {
    require(request->message.priority <= 3);
    require(request->message.workdir.empty() || request->message.workdir.front() == '/');
  }
  if (auto request = parse_exec(*object, std::chrono::minutes{10}))
    require(request->spec.timeout.count() > 0 || request->form == exec_form::background);
  (void)parse_ttl(*object);
  (void)parse_signal(*object);
  (void)parse_stdin(*object);
  (void)parse_mkdir(*object);
  (void)parse_move(*object);
  (void)parse_archive(*object);
}

/// The body of a write in pieces must come to the same as the body at once.
void check_write(std::string_view text, std::size_t piece) {
  write_parser whole;
  auto at_once = whole.feed(text);
  if (at_once)
    at_once = whole.finish();
  write_parser cut;
  result<void> in_pieces = caf::unit;
  std::string content;
  for (std::size_t at = 0; in_pieces && at < text.size(); at += piece) {
    in_pieces = cut.feed(text.substr(at, piece));
    content += cut.take_content();
  }
  if (in_pieces)
    in_pieces = cut.finish();
  content += cut.take_content();
  require(static_cast<bool>(at_once) == static_cast<bool>(in_pieces));
  if (at_once) {
    require(whole.take_content() == content);
    require(whole.path() == cut.path());
    require(whole.base64() == cut.base64());
  }
}

void check_text(std::string_view text) {
  auto repaired = repair_utf8(std::string{text});
  require(is_utf8(repaired));
  if (is_utf8(text))
    require(repaired == text);
  std::string escaped;
  append_json_escaped(escaped, repaired);
  require(nlohmann::json::parse("\"" + escaped + "\"").get<std::string>() == repaired);
  require(utf8_incomplete_tail(text) <= std::min<std::size_t>(text.size(), 3));
}

void check_base64(std::string_view text) {
  require(base64_decode(base64_encode(text)) == text);
  (void)base64_decode(text);
}

/// A body with one known field, whose value is what was mutated: random bytes alone would hardly ever spell a
/// name.
std::string body_with_field(std::string_view text) {
  static constexpr std::string_view names[] = {
      "priority", "ttl_seconds", "timeout_minutes", "expose_ports", "ports",   "resources",
      "env",      "image",       "flavor",          "vnc",          "agent",   "workdir",
      "command",  "cwd",         "timeoutMs",       "mode",         "timeout", "stream",
      "stdin",    "background",  "signal",          "tree",         "data",    "close",
      "path",     "content",     "encoding",        "from",         "to",      "overwrite",
      "format",   "upstream",    "secrets"};
  auto choice = text.empty() ? 0 : static_cast<unsigned char>(text.front());
  auto value = text.empty() ? "null" : std::string{text.substr(1)};
  return "{\"command\":\"x\",\"path\":\"p\",\"content\":\"c\",\"" +
         std::string{names[choice % std::size(names)]} + "\":" + value + "}";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  check_objects(text);
  check_write(text, size % 7 + 1);
  auto body = body_with_field(text);
  check_objects(body);
  check_write(body, size % 5 + 1);
  check_text(text);
  check_base64(text);
  (void)announced_sha256(text, text);
  (void)accepts(text, "text/event-stream");
  if (auto range = parse_range(text, 1000); range && *range)
    require((*range)->length >= 1 && (*range)->first + (*range)->length <= 1000);
  (void)parse_count(text);
  return 0;
}
