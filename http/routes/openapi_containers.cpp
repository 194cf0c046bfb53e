#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// Containers, in the OpenAPI document.

namespace sandy::http::routes {

namespace {

constexpr std::string_view schemas = R"json({
"RunContainer": {"type": "object", "required": ["image"], "properties": {
  "image": {"type": "string", "description": "Name or alias of an image of the store, or a reference that the server may fetch"}, "name": {"type": "string", "description": "For people"},
  "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Wins over what is injected"},
  "llm_api_key": {"type": "string", "description": "JANUS_LLM_API_KEY; without it the sandbox's own token"}, "llmApiKey": {"type": "string"},
  "memory_url": {"type": "string"}, "memoryUrl": {"type": "string"}, "search_url": {"type": "string"}, "searchUrl": {"type": "string"},
  "timeout": {"type": "number", "default": 300, "description": "Seconds for one chat"},
  "port": {"type": "integer", "default": 8080, "minimum": 1, "maximum": 65535, "description": "Another one above it when it is taken: the answer and PORT say which"},
  "command": {"type": ["string", "array"], "items": {"type": "string"}, "description": "Instead of the image's Cmd; a string is for /bin/sh"},
  "restart_policy": {"type": "string", "enum": ["no", "on-failure", "always"], "default": "on-failure"}, "restartPolicy": {"type": "string"},
  "max_restarts": {"type": "integer", "default": 5, "minimum": 0, "description": "In a row, of on-failure"}, "maxRestarts": {"type": "integer"}}},
"StopContainer": {"type": "object", "properties": {"grace": {"type": "integer", "default": 10, "minimum": 0, "maximum": 60, "description": "Seconds until it is killed"}}},
"Container": {"type": "object", "required": ["id", "container_id", "containerId", "endpoint", "port", "image", "status", "health"], "properties": {
  "id": {"type": "string"}, "container_id": {"type": "string"}, "containerId": {"type": "string"}, "sandbox_id": {"type": "string"}, "sandboxId": {"type": "string"},
  "name": {"type": ["string", "null"]}, "image": {"type": "string"}, "port": {"type": "integer"}, "endpoint": {"type": "string", "description": "Valid inside the sandbox"},
  "status": {"type": "string", "enum": ["creating", "running", "restarting", "stopping", "exited"]}, "health": {"type": "string", "enum": ["none", "starting", "healthy", "unhealthy"]},
  "timeout": {"type": "integer"}, "restarts": {"type": "integer"}, "restart_policy": {"type": "string"}, "restartPolicy": {"type": "string"},
  "created_at": {"type": ["string", "null"]}, "createdAt": {"type": ["string", "null"]}, "started_at": {"type": ["string", "null"]}, "startedAt": {"type": ["string", "null"]},
  "ended_at": {"type": ["string", "null"]}, "endedAt": {"type": ["string", "null"]}, "exit_code": {"type": ["integer", "null"]}, "exitCode": {"type": ["integer", "null"]},
  "error": {"type": ["string", "null"]},
  "workload": {"type": "boolean", "description": "It is the program of the sandbox's own image, and runs in the sandbox itself"}}},
"ContainerList": {"type": "object", "required": ["containers"], "properties": {"containers": {"type": "array", "items": {"$ref": "#/components/schemas/Container"}}}},
"ContainerLog": {"type": "object", "required": ["container_id", "lines"], "properties": {"container_id": {"type": "string"}, "lines": {"type": "array", "items": {"type": "string"}}}},
"ContainerChat": {"type": "object", "description": "A request for a chat completion, as OpenAI describes it; passed on as it is"}
})json";

constexpr std::string_view tag = "containers";
constexpr std::string_view json_type = "application/json";

} // namespace

nlohmann::json container_schemas() { return nlohmann::json::parse(schemas); }

void describe_containers(std::vector<described_operation>& all) {
  const std::vector<described_body> container{{json_type, "Container"}};
  all.push_back({"POST",
                 "/api/sandboxes/{id}/container/run",
                 "run_container",
                 tag,
                 "Runs an image beside what is in the sandbox; answers when it is healthy",
                 {},
                 {{json_type, "RunContainer"}},
                 container,
                 {400, 409, 413, 422, 502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/container",
                 "list_containers",
                 tag,
                 "Lists its containers, the oldest first",
                 {},
                 {},
                 {{json_type, "ContainerList"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/container/{cid}",
                 "get_container",
                 tag,
                 "Describes a container",
                 {},
                 {},
                 container,
                 {409}});
  all.push_back({"DELETE",
                 "/api/sandboxes/{id}/container/{cid}",
                 "remove_container",
                 tag,
                 "Ends a container, and answers when nothing of it is left",
                 {},
                 {},
                 container,
                 {409, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/container/{cid}/stop",
                 "stop_container",
                 tag,
                 "Ends its program: asked first, killed after a grace; its log stays",
                 {},
                 {{json_type, "StopContainer"}},
                 container,
                 {400, 409, 413, 422, 502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/container/{cid}/logs",
                 "read_container_log",
                 tag,
                 "The last lines of what its program printed; with follow, what it prints as it comes",
                 {"tail", "follow_log"},
                 {},
                 {{json_type, "ContainerLog"}, {"text/event-stream", "OutputEvents"}},
                 {400, 409}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/container/{cid}/health",
                 "ask_container_health",
                 tag,
                 "What the container answers to GET /health, as it is",
                 {},
                 {},
                 {},
                 {409, 502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/container/{cid}/v1/models",
                 "ask_container_models",
                 tag,
                 "What the container answers to GET /v1/models, as it is",
                 {},
                 {},
                 {},
                 {409, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/container/{cid}/chat",
                 "chat_with_container",
                 tag,
                 "Passes a chat on to the container, and its answer back; streams end with one [DONE]",
                 {},
                 {{json_type, "ContainerChat"}},
                 {{json_type, ""}, {"text/event-stream", ""}},
                 {409, 413, 502}});
}

} // namespace sandy::http::routes
