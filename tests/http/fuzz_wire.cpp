// Whatever clients of other dialects send, and whatever models answer: the translations neither crash nor
// take long, and what they make is JSON with its promises kept.

#include "http/gateway/wire/messages_answer.hpp"
#include "http/gateway/wire/messages_request.hpp"
#include "http/gateway/wire/responses_answer.hpp"
#include "http/gateway/wire/responses_request.hpp"

#include "http/codec/fields.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sandy;
using namespace sandy::http::gateway::wire;
using nlohmann::json;

void require(bool promise) {
  if (!promise)
    std::abort();
}

void check_chat(const json& chat) {
  require(chat.at("model").is_string());
  require(!chat.at("messages").empty() || chat.at("messages").is_array());
  for (const auto& message : chat.at("messages"))
    require(message.at("role").is_string() && message.contains("content"));
}

void check_request(const json& body) {
  if (auto read = read_messages_request(body))
    check_chat(read->chat);
  else
    require(code_of(read.error()) == errc::invalid_argument && !text_of(read.error()).empty());
  if (auto read = read_responses_request(body))
    check_chat(read->chat);
  else
    require(code_of(read.error()) == errc::invalid_argument && !text_of(read.error()).empty());
}

/// Every event is a line with its type and a line of JSON.
void check_events(std::string_view stream) {
  while (!stream.empty()) {
    auto end = stream.find("\n\n");
    require(end != stream.npos && stream.starts_with("event: "));
    auto event = stream.substr(0, end);
    stream.remove_prefix(end + 2);
    auto data = event.find("\ndata: ");
    require(data != event.npos);
    auto read = json::parse(event.substr(data + 7), nullptr, false);
    require(read.is_object() && read.at("type") == event.substr(7, data - 7));
  }
}

void check_answer(const json& chunk) {
  messages_answer_head head{"msg_1", "m", true, {}};
  responses_answer_head other;
  other.id = "1";
  other.created_at = 0;
  other.echo = json::object();
  other.summary = true;
  (void)messages_answer{head}.whole(chunk);
  (void)responses_answer{other}.whole(chunk);
  std::string told, also_told;
  messages_answer messages{head};
  responses_answer responses{other};
  for (int i = 0; i < 2; ++i) {
    (void)messages.chunk(chunk, told);
    (void)responses.chunk(chunk, also_told);
  }
  messages.finish(told);
  responses.finish(also_told);
  check_events(told);
  check_events(also_told);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text{reinterpret_cast<const char*>(data), size};
  // Random bytes alone would hardly ever spell a field.
  for (const auto& body :
       {text, R"({"model":"m","input":"x","messages":[{"role":"user","content":"x"}],)" + text + "}",
        R"({"model":"m","messages":[{"role":"user","content":[)" + text + R"(]}],"input":[)" + text + "]}"})
    if (auto read = http::codec::parse_object(body))
      check_request(*read);
  for (const auto& body : {text, R"({"choices":[{"delta":{)" + text + "}}]}",
                           R"({"choices":[{"delta":{"content":"x","tool_calls":[)" + text + "]}}]}"})
    if (auto read = http::codec::parse_object(body))
      check_answer(*read);
  return 0;
}
