#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// Chats in the dialects of Messages and Responses, in the OpenAPI document.

namespace sandy::http::routes {

namespace {

constexpr std::string_view schemas = R"json({
"MessagesRequest": {"type": "object", "required": ["model", "messages"], "description": "As of Anthropic's Messages; what other models have no word for is left out", "properties": {
  "model": {"type": "string", "description": "Id or alias of a model; any other name leads to the default one"},
  "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"type": "string", "enum": ["user", "assistant", "system"]},
    "content": {"description": "Text, or blocks: text, image, document, tool_use, tool_result, thinking"}}}},
  "system": {"description": "Text, or blocks of text"}, "max_tokens": {"type": ["integer", "null"], "minimum": 1}, "stream": {"type": ["boolean", "null"], "default": false},
  "temperature": {"type": ["number", "null"]}, "top_p": {"type": ["number", "null"]}, "stop_sequences": {"type": ["array", "null"], "items": {"type": "string"}},
  "tools": {"type": ["array", "null"], "items": {"type": "object"}}, "tool_choice": {"type": ["object", "null"]},
  "thinking": {"type": ["object", "null"], "description": "Where it is enabled, reasoning_content is told as thinking"}}},
"Message": {"type": "object", "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"], "properties": {
  "id": {"type": "string"}, "type": {"const": "message"}, "role": {"const": "assistant"}, "model": {"type": "string"},
  "content": {"type": "array", "items": {"type": "object"}}, "stop_reason": {"type": ["string", "null"]}, "stop_sequence": {"type": ["string", "null"]}, "usage": {"type": "object"}}},
"MessageEvents": {"type": "string", "description": "Events of Messages, message_start to message_stop; ping while nothing comes, error when the model fails"},
"ResponsesRequest": {"type": "object", "required": ["model", "input"], "description": "As of OpenAI's Responses; nothing is kept between requests, and what other models have no word for is left out", "properties": {
  "model": {"type": "string", "description": "Id or alias of a model; any other name leads to the default one"},
  "input": {"description": "Text, or items: messages, calls of tools and what they returned"},
  "instructions": {"type": ["string", "null"]}, "max_output_tokens": {"type": ["integer", "null"], "minimum": 1}, "stream": {"type": ["boolean", "null"], "default": false},
  "temperature": {"type": ["number", "null"]}, "top_p": {"type": ["number", "null"]}, "tools": {"type": ["array", "null"], "items": {"type": "object"}},
  "reasoning": {"type": ["object", "null"], "description": "Where a summary is asked for, reasoning_content is told as one"}, "text": {"type": ["object", "null"]}}},
"Response": {"type": "object", "required": ["id", "object", "created_at", "status", "output"], "properties": {
  "id": {"type": "string"}, "object": {"const": "response"}, "created_at": {"type": "integer"}, "status": {"type": "string", "enum": ["completed", "incomplete"]},
  "output": {"type": "array", "items": {"type": "object"}}, "usage": {"type": ["object", "null"]}}},
"ResponseEvents": {"type": "string", "description": "Events of Responses, response.created to response.completed, response.incomplete or response.failed"}
})json";

} // namespace

nlohmann::json dialect_schemas() { return nlohmann::json::parse(schemas); }

void describe_dialects(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "chats";
  constexpr std::string_view json_type = "application/json";
  all.push_back({"POST",
                 "/v1/messages",
                 "create_message",
                 tag,
                 "Asks a model as Anthropic's clients do, Claude Code among them",
                 {},
                 {{json_type, "MessagesRequest"}},
                 {{json_type, "Message"}, {"text/event-stream", "MessageEvents"}},
                 {400, 404, 413, 502, 503, 504}});
  all.push_back({"POST",
                 "/v1/responses",
                 "create_response",
                 tag,
                 "Asks a model as clients of OpenAI's Responses do, Codex among them",
                 {},
                 {{json_type, "ResponsesRequest"}},
                 {{json_type, "Response"}, {"text/event-stream", "ResponseEvents"}},
                 {400, 404, 413, 502, 503, 504}});
}

} // namespace sandy::http::routes
