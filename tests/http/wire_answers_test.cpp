#include "wire_support.hpp"

#include "http/gateway/wire/errors.hpp"
#include "http/gateway/wire/messages_answer.hpp"
#include "http/gateway/wire/responses_answer.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http;
using namespace sandy::http::gateway::wire;
using nlohmann::json;

namespace {

const messages_answer_head thinking{"msg_1", "m", true, {"END"}};

responses_answer_head head_with(std::string_view tools = "[]") {
  responses_answer_head head;
  head.id = "1";
  head.created_at = 7;
  head.echo = {{"object", "response"}, {"model", "m"}};
  head.summary = true;
  caf::error mistake;
  auto list = json::parse(tools);
  head.tools.read(field{list, mistake});
  REQUIRE_FALSE(mistake);
  return head;
}

/// What a stream of such chunks becomes.
template <class Stream>
std::vector<told> streamed(Stream stream, const std::vector<json>& chunks) {
  std::string out;
  for (const auto& chunk : chunks)
    REQUIRE(stream.chunk(chunk, out));
  stream.finish(out);
  return events_of(out);
}

/// A whole answer of chat completions.
json completion(json message, std::string_view finish) {
  return {
      {"object", "chat.completion"},
      {"choices", json::array({{{"index", 0}, {"message", std::move(message)}, {"finish_reason", finish}}})},
      {"usage", {{"prompt_tokens", 3}, {"completion_tokens", 2}}}};
}

json call_of(std::string_view id, std::string_view name, std::string_view arguments) {
  return {{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}};
}

} // namespace

TEST_CASE("a stream of chat chunks becomes the events of Messages", "[wire]") {
  auto events = streamed(messages_answer{thinking}, chat_chunks());
  CHECK(types_of(events) ==
        std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                 "content_block_delta", "content_block_stop", "content_block_start",
                                 "content_block_delta", "content_block_delta", "content_block_stop",
                                 "content_block_start", "content_block_delta", "content_block_delta",
                                 "content_block_stop", "content_block_start", "content_block_delta",
                                 "content_block_stop", "message_delta", "message_stop"});
  CHECK(events[0].data["message"]["content"] == json::array());
  CHECK(events[1].data["content_block"]["type"] == "thinking");
  CHECK(events[2].data["delta"] == json::parse(R"({"type": "thinking_delta", "thinking": "Let me "})"));
  CHECK(events[5].data["index"] == 1);
  CHECK(events[6].data["delta"] == json::parse(R"({"type": "text_delta", "text": "I will "})"));
  CHECK(events[9].data["content_block"] ==
        json::parse(R"({"type": "tool_use", "id": "call_a", "name": "read", "input": {}})"));
  CHECK(events[10].data["delta"] ==
        json::parse(R"({"type": "input_json_delta", "partial_json": "{\"path\":"})"));
  CHECK(events[13].data["index"] == 3);
  CHECK(events[16].data["delta"] == json::parse(R"({"stop_reason": "tool_use", "stop_sequence": null})"));
  CHECK(
      events[16].data["usage"] ==
      json::parse(
          R"({"input_tokens": 40, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 0, "output_tokens": 20})"));
}

TEST_CASE("thoughts are shown to those who asked for them only", "[wire]") {
  auto events = streamed(messages_answer{{"msg_1", "m"}}, chat_chunks());
  CHECK(events[1].data["content_block"]["type"] == "text");
  CHECK(events[1].data["index"] == 0);
  auto head = head_with();
  head.summary = false;
  auto told = streamed(responses_answer{std::move(head)}, chat_chunks());
  CHECK(told.back().data["response"]["output"][0]["type"] == "message");
}

TEST_CASE("a stream of chat chunks becomes the events of Responses", "[wire]") {
  auto events = streamed(responses_answer{head_with()}, chat_chunks());
  CHECK(types_of(events) == std::vector<std::string>{"response.created",
                                                     "response.in_progress",
                                                     "response.output_item.added",
                                                     "response.reasoning_summary_part.added",
                                                     "response.reasoning_summary_text.delta",
                                                     "response.reasoning_summary_text.delta",
                                                     "response.reasoning_summary_text.done",
                                                     "response.reasoning_summary_part.done",
                                                     "response.output_item.done",
                                                     "response.output_item.added",
                                                     "response.content_part.added",
                                                     "response.output_text.delta",
                                                     "response.output_text.delta",
                                                     "response.output_text.done",
                                                     "response.content_part.done",
                                                     "response.output_item.done",
                                                     "response.output_item.added",
                                                     "response.function_call_arguments.delta",
                                                     "response.function_call_arguments.delta",
                                                     "response.function_call_arguments.done",
                                                     "response.output_item.done",
                                                     "response.output_item.added",
                                                     "response.function_call_arguments.delta",
                                                     "response.function_call_arguments.done",
                                                     "response.output_item.done",
                                                     "response.completed"});
  for (std::size_t i = 0; i < events.size(); ++i)
    CHECK(events[i].data["sequence_number"] == i);
  CHECK(events[11].data["delta"] == "I will ");
  CHECK(events[13].data["text"] == "I will look.");
  const auto& response = events.back().data["response"];
  CHECK(response["status"] == "completed");
  CHECK(response["usage"]["input_tokens"] == 100);
  CHECK(response["usage"]["total_tokens"] == 120);
  CHECK(response["usage"]["input_tokens_details"]["cached_tokens"] == 60);
  REQUIRE(response["output"].size() == 4);
  CHECK(response["output"][0]["summary"][0]["text"] == "Let me think.");
  CHECK(response["output"][1]["content"][0]["text"] == "I will look.");
  CHECK(response["output"][2]["arguments"] == "{\"path\":\"a.txt\"}");
  CHECK(response["output"][3]["call_id"] == "call_b");
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(response["output"][i]["status"] == "completed");
  // What was done is what the end repeats.
  CHECK(events[20].data["item"] == response["output"][2]);
}

TEST_CASE("tools of every kind are called as their clients know them", "[wire]") {
  auto head = head_with(R"([{"type": "custom", "name": "patch"}, {"type": "local_shell"},
    {"type": "namespace", "name": "team", "tools": [{"type": "function", "name": "ask"}]}])");
  auto chunk = chat_delta(
      {{"tool_calls", json::array({call_of("a", "patch", "{\"input\":\"x\\ny\"}"),
                                   call_of("b", "local_shell", R"({"command":["ls","-l"],"timeout_ms":5})"),
                                   call_of("c", "team__ask", ""), call_of("d", "patch", "no JSON"),
                                   call_of("e", "local_shell", "[1")})}},
      "tool_calls");
  auto events = streamed(responses_answer{std::move(head)}, {chunk});
  const auto& output = events.back().data["response"]["output"];
  REQUIRE(output.size() == 5);
  CHECK(output[0]["type"] == "custom_tool_call");
  CHECK(output[0]["input"] == "x\ny");
  CHECK(output[1]["type"] == "local_shell_call");
  CHECK(output[1]["action"] ==
        json::parse(R"({"type": "exec", "command": ["ls", "-l"], "env": {}, "timeout_ms": 5})"));
  CHECK(output[2]["type"] == "function_call");
  CHECK(output[2]["name"] == "ask");
  CHECK(output[2]["namespace"] == "team");
  CHECK(output[2]["arguments"] == "{}");
  CHECK(output[3]["input"] == "no JSON");
  CHECK(output[4]["action"]["command"] == json::array());
}

TEST_CASE("whole answers say the same as streams", "[wire]") {
  json message{
      {"role", "assistant"},
      {"content", "I look."},
      {"reasoning_content", "Hm."},
      {"tool_calls", json::array({call_of("a", "read", "{\"path\":\"b\"}"), call_of("", "list", "")})}};
  auto made = messages_answer{thinking}.whole(completion(message, "tool_calls"));
  REQUIRE(made);
  CHECK((*made)["content"] ==
        json::parse(
            R"([{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "a", "name": "read", "input": {"path": "b"}}, {"type": "tool_use", "id": "msg_1_call_1", "name": "list", "input": {}}])"));
  CHECK((*made)["stop_reason"] == "tool_use");
  CHECK((*made)["usage"]["output_tokens"] == 2);
  auto response = responses_answer{head_with()}.whole(completion(message, "tool_calls"));
  REQUIRE(response);
  CHECK((*response)["id"] == "resp_1");
  CHECK((*response)["status"] == "completed");
  CHECK((*response)["output"].size() == 4);
  CHECK((*response)["created_at"] == 7);
}

TEST_CASE("why the model stopped is told in each dialect's words", "[wire]") {
  auto stop = [](std::string_view finish, json more = json::object()) {
    auto whole = completion({{"content", "Hi"}}, finish);
    whole["choices"][0].update(more);
    return (*messages_answer{thinking}.whole(whole))["stop_reason"].get<std::string>();
  };
  CHECK(stop("stop") == "end_turn");
  CHECK(stop("length") == "max_tokens");
  CHECK(stop("content_filter") == "refusal");
  CHECK(stop("stop", {{"stop_reason", "END"}}) == "stop_sequence");
  CHECK(stop("stop", {{"stop_reason", "unknown"}}) == "end_turn");
  auto cut = *responses_answer{head_with()}.whole(completion({{"content", "Hi"}}, "length"));
  CHECK(cut["status"] == "incomplete");
  CHECK(cut["incomplete_details"]["reason"] == "max_output_tokens");
  auto events = streamed(responses_answer{head_with()}, {chat_delta({{"content", "H"}}, "content_filter")});
  CHECK(events.back().event == "response.incomplete");
}

TEST_CASE("failures in mid-stream are told as failures", "[wire]") {
  auto broken = fail(errc::upstream_error, "The model went away");
  messages_answer messages{thinking};
  responses_answer responses{head_with()};
  std::string told_messages, told_responses;
  REQUIRE(messages.chunk(chat_delta({{"content", "Hi"}}), told_messages));
  REQUIRE(responses.chunk(chat_delta({{"content", "Hi"}}), told_responses));
  messages.fail(broken, told_messages);
  responses.fail(broken, told_responses);
  auto error = events_of(told_messages).back();
  CHECK(error.event == "error");
  CHECK(error.data["error"] ==
        json::parse(R"({"type": "api_error", "message": "The model went away", "code": "upstream_error"})"));
  auto failed = events_of(told_responses).back();
  CHECK(failed.event == "response.failed");
  CHECK(failed.data["response"]["status"] == "failed");
  CHECK(failed.data["response"]["error"] ==
        json::parse(R"({"code": "server_error", "message": "The model went away"})"));
}

TEST_CASE("answers that are none fail", "[wire]") {
  messages_answer messages{thinking};
  responses_answer responses{head_with()};
  std::string out;
  for (auto text :
       {"7", "[]", R"({"error": {"message": "No."}})", R"({"error": "No."})",
        R"({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]}}]})",
        R"({"choices": [{"delta": {"tool_calls": [{"index": 100000, "function": {"name": "x"}}]}}]})"}) {
    INFO(text);
    auto chunk = json::parse(text);
    for (const auto& outcome : {messages.chunk(chunk, out), responses.chunk(chunk, out)}) {
      REQUIRE_FALSE(outcome);
      CHECK(code_of(outcome.error()) == errc::upstream_error);
    }
  }
  for (auto text : {"{}", R"({"choices": 3})"}) {
    CHECK_FALSE(messages_answer{thinking}.whole(json::parse(text)));
    CHECK_FALSE(responses_answer{head_with()}.whole(json::parse(text)));
  }
  CHECK_FALSE(messages_answer{thinking}.whole(
      completion({{"tool_calls", json::array({call_of("a", "b", "[]")})}}, "stop")));
}

TEST_CASE("fields of wrong types in an answer read as absent", "[wire]") {
  auto events = streamed(
      messages_answer{thinking},
      {json::parse(
           R"({"choices": [{"delta": {"content": 7, "reasoning_content": {}, "tool_calls": "x"}, "finish_reason": []}], "usage": {"prompt_tokens": "many"}})"),
       json::parse(R"({"choices": [{"delta": null}]})"), json::parse(R"({"choices": [null]})"),
       chat_delta({{"content", json::array({{{"type", "text"}, {"text", "Hi"}}, 3})}})});
  CHECK(types_of(events) == std::vector<std::string>{"message_start", "content_block_start",
                                                     "content_block_delta", "content_block_stop",
                                                     "message_delta", "message_stop"});
}

TEST_CASE("calls that are all numbered 0 are told apart by their ids", "[wire]") {
  auto call = [](std::string_view id, std::string_view arguments) {
    auto made = call_of(id, "f", arguments);
    made["index"] = 0;
    return chat_delta({{"tool_calls", json::array({made})}});
  };
  auto events =
      streamed(responses_answer{head_with()}, {call("a", "{\"n\":"), call("a", "1}"), call("b", "{}")});
  const auto& output = events.back().data["response"]["output"];
  REQUIRE(output.size() == 2);
  CHECK(output[0]["arguments"] == "{\"n\":1}");
  CHECK(output[1]["call_id"] == "b");
}

TEST_CASE("a sign of life begins the stream, and nothing is said twice", "[wire]") {
  messages_answer messages{thinking};
  responses_answer responses{head_with()};
  std::string told_messages, told_responses;
  for (int i = 0; i < 2; ++i) {
    messages.ping(told_messages);
    responses.ping(told_responses);
  }
  messages.finish(told_messages);
  responses.finish(told_responses);
  CHECK(types_of(events_of(told_messages)) ==
        std::vector<std::string>{"message_start", "ping", "ping", "message_delta", "message_stop"});
  CHECK(types_of(events_of(told_responses)) ==
        std::vector<std::string>{"response.created", "response.in_progress", "response.completed"});
}

TEST_CASE("a stream may have events that are no chunks", "[wire]") {
  const std::vector<json> chunks{json::object(),
                                 json::parse(R"({"type": "screenshot", "data": {"url": "x"}})"),
                                 chat_delta({{"content", "Hi"}}), json::parse(R"({"choices": null})"),
                                 chat_delta(json::object(), "stop")};
  auto messages = streamed(messages_answer{thinking}, chunks);
  CHECK(types_of(messages) == std::vector<std::string>{"message_start", "content_block_start",
                                                       "content_block_delta", "content_block_stop",
                                                       "message_delta", "message_stop"});
  auto responses = streamed(responses_answer{head_with()}, chunks);
  CHECK(responses.back().event == "response.completed");
  CHECK(responses.back().data["response"]["output"][0]["content"][0]["text"] == "Hi");
}

TEST_CASE("a model that begins item after item is stopped", "[wire]") {
  responses_answer stream{head_with()};
  std::string out;
  std::size_t items = 0;
  for (; items < 2 * responses_answer::items_max; ++items) {
    out.clear();
    if (!stream.chunk(chat_delta({{items % 2 == 0 ? "content" : "reasoning_content", "x"}}), out))
      break;
  }
  CHECK(items == responses_answer::items_max);

  auto calls = json::array();
  for (std::size_t i = 0; i < 2 * responses_answer::items_max; ++i) {
    calls.push_back(call_of("c" + std::to_string(i), "f", "{}"));
    calls.back()["index"] = i % 2;
  }
  responses_answer calling{head_with()};
  auto outcome = calling.chunk(chat_delta({{"tool_calls", calls}}), out);
  REQUIRE_FALSE(outcome);
  CHECK(code_of(outcome.error()) == errc::upstream_error);
  out.clear();
  calling.fail(outcome.error(), out); // it can still be told
  CHECK(events_of(out).back().event == "response.failed");
}

TEST_CASE("the kept answer of a stream is bounded", "[wire]") {
  responses_answer stream{head_with()};
  std::string out;
  auto chunk = chat_delta({{"content", std::string(responses_answer::answer_bytes_max - 4096, 'x')}});
  REQUIRE(stream.chunk(chunk, out));
  CHECK_FALSE(stream.chunk(chat_delta({{"content", std::string(4096, 'x')}}), out));
}

TEST_CASE("errors have the shape of each dialect, and a detail", "[wire]") {
  auto limited = fail(errc::rate_limited, "Too many");
  auto messages = json::parse(messages_error(limited));
  CHECK(
      messages ==
      json::parse(
          R"({"type": "error", "error": {"type": "rate_limit_error", "message": "Too many", "code": "rate_limited"}, "detail": "Too many"})"));
  auto responses = json::parse(responses_error(limited));
  CHECK(
      responses ==
      json::parse(
          R"({"error": {"message": "Too many", "type": "rate_limit_error", "param": null, "code": "rate_limited"}, "detail": "Too many"})"));
  CHECK(json::parse(messages_error(fail(errc::invalid_argument, "x")))["error"]["type"] ==
        "invalid_request_error");
  CHECK(json::parse(messages_error(fail(errc::upstream_error, "x")))["error"]["type"] == "api_error");
}
