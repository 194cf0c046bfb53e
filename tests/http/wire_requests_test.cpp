#include "wire_support.hpp"

#include "http/gateway/wire/messages_request.hpp"
#include "http/gateway/wire/responses_request.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http;
using namespace sandy::http::gateway::wire;
using nlohmann::json;

namespace {

messages_request messages(std::string_view text) {
  INFO(text);
  auto read = read_messages_request(json::parse(text));
  REQUIRE(read);
  return *read;
}

responses_request responses(std::string_view text) {
  INFO(text);
  auto read = read_responses_request(json::parse(text));
  REQUIRE(read);
  return *read;
}

std::string messages_refusal(std::string_view text) {
  auto read = read_messages_request(json::parse(text));
  REQUIRE_FALSE(read);
  CHECK(code_of(read.error()) == errc::invalid_argument);
  return text_of(read.error());
}

std::string responses_refusal(std::string_view text) {
  auto read = read_responses_request(json::parse(text));
  REQUIRE_FALSE(read);
  CHECK(code_of(read.error()) == errc::invalid_argument);
  return text_of(read.error());
}

constexpr std::string_view long_messages = R"({
  "model": "m", "max_tokens": 100, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 7,
  "stop_sequences": ["END"], "metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 2000},
  "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"},
             {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be kind."}],
  "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
            {"name": "hidden", "input_schema": {"type": "object"}, "defer_loading": true},
            {"name": "found", "input_schema": {"type": "object"}, "defer_loading": true}],
  "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": true},
  "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
  "messages": [
    {"role": "user", "content": [{"type": "text", "text": "Look"},
      {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
      {"type": "image", "source": {"type": "url", "url": "https://a.bc/d.png"}},
      {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
      {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}]},
    {"role": "system", "content": "Now be quick."},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"},
      {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
      {"type": "tool_use", "id": "t2", "name": "look", "input": {}}]},
    {"role": "user", "content": [{"type": "text", "text": "And?"}, {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
      {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [{"type": "text", "text": "two"},
        {"type": "image", "source": {"type": "url", "url": "https://a.bc/e.png"}}, {"type": "tool_reference", "tool_name": "found"}]}]}]})";

constexpr std::string_view long_responses = R"({
  "model": "m", "instructions": "Be brief.", "stream": true, "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100, "user": "u",
  "store": false, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "metadata": {"a": "b"},
  "parallel_tool_calls": true, "tool_choice": "auto", "reasoning": {"effort": "low", "summary": "auto"},
  "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": true}},
  "tools": [
    {"type": "function", "name": "look", "description": "Looks.", "strict": false, "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
    {"type": "local_shell"}, {"type": "web_search", "external_web_access": true},
    {"type": "namespace", "name": "team", "description": "Others.", "tools": [{"type": "function", "name": "ask", "parameters": {}}]}],
  "input": [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
    {"role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "original"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
    {"type": "function_call", "call_id": "c1", "namespace": "team", "name": "ask", "arguments": "{\"a\":1}"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "a \"b\""},
    {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}, {"type": "input_image", "image_url": "https://a.bc/d.png"}]},
    {"type": "local_shell_call_output", "id": "c3", "output": "three"},
    {"type": "message", "role": "user", "content": "Go on"}]})";

} // namespace

TEST_CASE("a request of Messages becomes one of chat completions", "[wire]") {
  auto read = messages(long_messages);
  CHECK(read.model == "m");
  CHECK(read.stream);
  CHECK(read.thinking);
  CHECK(read.stop == std::vector<std::string>{"END"});
  auto wanted = json::parse(R"j({
    "model": "m", "max_tokens": 100, "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5, "top_p": 0.9,
    "stop": ["END"], "user": "u", "parallel_tool_calls": false,
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
    "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}},
              {"type": "function", "function": {"name": "found", "parameters": {"type": "object"}}}],
    "messages": [
      {"role": "system", "content": "Be brief.\nBe kind."},
      {"role": "user", "content": [{"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://a.bc/d.png"}},
        {"type": "text", "text": "Document \"T\":\nwords"},
        {"type": "text", "text": "(Document was left out: it is no text.)"}]},
      {"role": "system", "content": "Now be quick."},
      {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
        {"id": "t2", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "t1", "content": "one"},
      {"role": "tool", "tool_call_id": "t2",
       "content": "The tool failed:\ntwo\nThe tool found can be called now.\n(The next message shows what this tool returned besides: 1 picture.)"},
      {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.bc/e.png"}}]},
      {"role": "user", "content": "And?"}]})j");
  CHECK(read.chat == wanted);
}

TEST_CASE("a request of Responses becomes one of chat completions", "[wire]") {
  auto read = responses(long_responses);
  CHECK(read.stream);
  CHECK(read.summary);
  auto tools = read.chat["tools"];
  read.chat.erase("tools");
  auto wanted = json::parse(R"j({
    "model": "m", "max_tokens": 100, "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5, "top_p": 0.9,
    "user": "u", "metadata": {"a": "b"}, "parallel_tool_calls": true, "tool_choice": "auto", "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
    "messages": [
      {"role": "system", "content": "Be brief."},
      {"role": "system", "content": "Rules."},
      {"role": "user", "content": [{"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}}]},
      {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "team__ask", "arguments": "{\"a\":1}"}},
        {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": "{\"input\":\"a \\\"b\\\"\"}"}},
        {"id": "c3", "type": "function", "function": {"name": "local_shell", "arguments": "{\"command\":[\"ls\"],\"env\":{},\"type\":\"exec\"}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "one"},
      {"role": "tool", "tool_call_id": "c2", "content": "two\n(The next message shows what this tool returned besides: 1 picture.)"},
      {"role": "tool", "tool_call_id": "c3", "content": "three"},
      {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.bc/d.png"}}]},
      {"role": "user", "content": "Go on"}]})j");
  CHECK(read.chat == wanted);
  std::vector<std::string> names;
  for (const auto& tool : tools)
    names.push_back(tool.at("function").at("name"));
  CHECK(names == std::vector<std::string>{"look", "patch", "local_shell", "team__ask"});
  CHECK(tools[0].at("function").at("strict") == false);
  CHECK(tools[1].at("function").at("description") ==
        "Patches.\nThe input must match this grammar (lark):\nstart: x");
  CHECK(read.tools.called("team__ask").space == "team");
  CHECK(read.tools.called("patch").kind == tool_kind::custom);
  CHECK(read.tools.called("local_shell").kind == tool_kind::local_shell);
  CHECK(read.tools.called("never_offered").name == "never_offered");
  CHECK(read.echo.at("instructions") == "Be brief.");
  CHECK(read.echo.at("tools").size() == 5);
}

TEST_CASE("words alone are enough in both dialects", "[wire]") {
  auto told = messages(R"({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]})");
  CHECK(told.chat["messages"] == json::parse(R"([{"role": "user", "content": "Hi"}])"));
  CHECK_FALSE(told.stream);
  CHECK_FALSE(told.thinking);
  auto asked =
      responses(R"({"model": "m", "input": "Hi", "tools": [], "tool_choice": "auto", "reasoning": null})");
  CHECK(asked.chat ==
        json::parse(R"({"model": "m", "stream": false, "messages": [{"role": "user", "content": "Hi"}]})"));
  CHECK_FALSE(asked.summary);
}

TEST_CASE("what the assistant says after a call stays with the call", "[wire]") {
  auto read = responses(R"({"model": "m", "input": [{"role": "user", "content": "Hi"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"role": "assistant", "content": "Wait."},
    {"type": "function_call_output", "call_id": "c", "output": "done"}]})");
  const auto& talk = read.chat["messages"];
  REQUIRE(talk.size() == 3);
  CHECK(talk[1]["content"] == "Wait.");
  CHECK(talk[1]["tool_calls"].size() == 1);
  CHECK(talk[2]["role"] == "tool");
}

TEST_CASE("choices of tools are kept to what is offered", "[wire]") {
  auto with = [](std::string_view choice) {
    return R"({"model": "m", "input": "Hi", "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}, {"type": "image_generation"}],
      "tool_choice": )" +
           std::string{choice} + "}";
  };
  CHECK(responses(with(R"({"type": "function", "name": "b"})")).chat["tool_choice"]["function"]["name"] ==
        "b");
  auto allowed = responses(with(
      R"({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}, {"type": "image_generation"}]})"));
  CHECK(allowed.chat["tool_choice"] == "required");
  CHECK(allowed.chat["tools"].size() == 1);
  CHECK(responses_refusal(with(R"({"type": "function", "name": "c"})")) ==
        "tool_choice names a tool that is not offered");
  CHECK(responses_refusal(with(R"({"type": "image_generation"})")).starts_with("tool_choice.type "));
  CHECK(responses_refusal(with("\"always\"")).starts_with("tool_choice must be "));
  CHECK(
      responses_refusal(
          R"({"model": "m", "input": "Hi", "tool_choice": "required", "tools": [{"type": "web_search"}]})") ==
      "tool_choice asks for a tool where none is offered");
  CHECK(messages_refusal(R"({"model": "m", "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "tool", "name": "web_search"}})") ==
        "tool_choice names a tool that is not offered");
}

TEST_CASE("what cannot be done is refused with the name of the field", "[wire]") {
  CHECK(messages_refusal("{}") == "model is required");
  CHECK(messages_refusal("[]") == "The request must be an object");
  CHECK(messages_refusal(R"({"model": "m"})") == "messages is required");
  CHECK(messages_refusal(R"({"model": "m", "messages": []})") == "messages must not be empty");
  CHECK(messages_refusal(
            R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]})") ==
        "messages[0].content[0].text must be a string");
  CHECK(
      messages_refusal(R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "song"}]}]})") ==
      "messages[0].content[0].type \"song\" is not understood here");
  CHECK(
      messages_refusal(
          R"({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "bash_20250124", "name": "bash"}]})")
          .starts_with("tools[0].type names a tool"));
  CHECK(messages_refusal(
            R"({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "Hi"}]})") ==
        "max_tokens must be a whole number of at least 1");
  CHECK(responses_refusal(R"({"model": "m"})") == "input is required");
  CHECK(responses_refusal(R"({"model": "m", "input": []})") == "input must not be empty");
  CHECK(responses_refusal(R"({"model": "m", "input": "Hi", "previous_response_id": "resp_1"})")
            .starts_with("previous_response_id cannot be used"));
  CHECK(responses_refusal(R"({"model": "m", "input": "Hi", "background": true})")
            .starts_with("background must be false"));
  CHECK(responses_refusal(R"({"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]})")
            .starts_with("input[0].type refers"));
  CHECK(
      responses_refusal(
          R"({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]})")
          .starts_with("input[0].content[0].type "));
}

TEST_CASE("values of wrong types are refused by name, wherever they are", "[wire]") {
  check_wrong_types(json::parse(long_messages), [](const json& body) {
    auto read = read_messages_request(body);
    return read ? caf::error{} : read.error();
  });
  check_wrong_types(json::parse(long_responses), [](const json& body) {
    auto read = read_responses_request(body);
    return read ? caf::error{} : read.error();
  });
}
