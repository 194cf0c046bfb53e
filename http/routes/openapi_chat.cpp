#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// Chats, in the OpenAPI document.

namespace sandy::http::routes {

namespace {

constexpr std::string_view schemas = R"json({
"Chat": {"type": "object", "required": ["model", "messages"], "description": "As of OpenAI's chat completions; fields that are not named here are passed on", "properties": {
  "model": {"type": "string", "description": "Id or alias of a model; any other name leads to the default one"},
  "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"], "properties": {
    "role": {"type": "string", "enum": ["system", "user", "assistant", "tool", "developer", "function"]},
    "content": {"description": "Text, or parts: text, image_url, file {name, mime_type, content, size}"}}}},
  "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2}, "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1}, "max_tokens": {"type": ["integer", "null"], "minimum": 1},
  "stream": {"type": ["boolean", "null"], "default": false}, "stream_options": {"type": ["object", "null"]}, "tools": {"type": ["array", "null"]}, "response_format": {"type": ["object", "null"]},
  "metadata": {"type": ["object", "null"]}, "generation_flags": {"type": ["object", "null"]}, "debug": {"type": ["boolean", "null"], "description": "An X-Debug-Request-Id goes with the request"},
  "competitor_id": {"type": ["string", "null"], "description": "The model that is to answer, whatever model says; not passed on"}}},
"ChatCompletion": {"type": "object", "required": ["id"], "description": "As the model answers it; id is the request's", "properties": {"id": {"type": "string"}, "choices": {"type": "array"}, "usage": {"type": "object"}}},
"ChatChunks": {"type": "string", "description": "Chunks of the completion in data lines, comments while nothing comes, and last data: [DONE]"},
"ModelList": {"type": "object", "required": ["object", "data"], "properties": {"object": {"type": "string", "const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},
"Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {"id": {"type": "string"}, "object": {"type": "string", "const": "model"}, "created": {"type": "integer"}, "owned_by": {"type": "string"}}},
"Duel": {"type": "object", "required": ["prompt_id", "response_a", "response_b"], "properties": {"prompt_id": {"type": "string"},
  "response_a": {"$ref": "#/components/schemas/DuelAnswer"}, "response_b": {"$ref": "#/components/schemas/DuelAnswer"}}},
"DuelAnswer": {"type": "object", "required": ["content"], "properties": {"content": {"type": "string"}}},
"Vote": {"type": "object", "required": ["prompt_id", "winner"], "properties": {"prompt_id": {"type": "string"}, "winner": {"type": "string", "enum": ["A", "B", "tie", "both_bad"]},
  "user_id": {"type": "string"}, "session_created_at": {"type": "number", "description": "Seconds or milliseconds since 1970"}}},
"CountedVote": {"type": "object", "required": ["status", "model_a", "model_b"], "properties": {"status": {"type": "string", "const": "recorded"}, "model_a": {"type": "string"}, "model_b": {"type": "string"}}}
})json";

} // namespace

nlohmann::json chat_schemas() { return nlohmann::json::parse(schemas); }

void describe_chats(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "chats";
  constexpr std::string_view json_type = "application/json";
  all.push_back({"POST",
                 "/v1/chat/completions",
                 "chat",
                 tag,
                 "Asks a model: streams its answer, or answers at its end",
                 {},
                 {{json_type, "Chat"}},
                 {{json_type, "ChatCompletion"}, {"text/event-stream", "ChatChunks"}},
                 {400, 404, 413, 422, 502}});
  all.push_back({"GET",
                 "/v1/models",
                 "list_models",
                 tag,
                 "The models to chat with",
                 {},
                 {},
                 {{json_type, "ModelList"}},
                 {}});
  all.push_back({"GET",
                 "/v1/models/{model}",
                 "get_model",
                 tag,
                 "One of them",
                 {"model"},
                 {},
                 {{json_type, "Model"}},
                 {404}});
  all.push_back({"GET",
                 "/v1/artifacts/{artifact}",
                 "get_artifact",
                 tag,
                 "A file that a chat made; kept for an hour",
                 {"artifact"},
                 {},
                 {{"application/octet-stream", ""}},
                 {404}});
  all.push_back({"POST",
                 "/v1/chat/completions/arena",
                 "hold_arena",
                 tag,
                 "Asks two models, and tells which they were when somebody has voted",
                 {},
                 {{json_type, "Chat"}},
                 {{json_type, "Duel"}},
                 {400, 413, 422, 502}});
  all.push_back({"POST",
                 "/api/arena/vote",
                 "vote",
                 tag,
                 "Says which of two answers was better; once, and not sooner than 5 s after them",
                 {},
                 {{json_type, "Vote"}},
                 {{json_type, "CountedVote"}},
                 {400, 403, 404, 409, 413, 422, 502}});
}

} // namespace sandy::http::routes
