#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// Agents, in the OpenAPI document.

namespace sandy::http::routes {

namespace {

constexpr std::string_view schemas = R"json({
"RunAgent": {"type": "object", "required": ["agent", "model", "prompt"], "properties": {
  "agent": {"type": "string", "description": "Id or alias, as GET /api/agents lists"}, "model": {"type": "string", "description": "Passed on as it is"},
  "prompt": {"type": "string"}, "maxDuration": {"type": "number", "default": 600, "description": "Seconds for the whole run"},
  "rawPrompt": {"type": "boolean", "default": false, "description": "Add nothing to the prompt, in a web project either"},
  "systemPrompt": {"type": "string"}, "systemPromptPath": {"type": "string", "description": "A file in the sandbox; systemPrompt wins"},
  "apiBaseUrl": {"type": "string", "description": "Of the model's interface, with or without /v1"}, "apiKey": {"type": "string"},
  "sessionId": {"type": "string", "description": "Of an earlier run in this sandbox, to go on with"},
  "cwd": {"type": "string", "default": "/workspace"}, "stream": {"type": "boolean", "default": true},
  "env": {"type": "object", "additionalProperties": {"type": "string"}}, "envVars": {"type": "object", "additionalProperties": {"type": "string"}, "description": "The same; env wins"}}},
"AgentEvents": {"type": "string", "description": "Objects in data lines alone, by their type: status, output, stderr, agent-output, files-update, heartbeat, error, and last complete with {exitCode, success, cancelled, duration}."},
"AgentStatus": {"type": "object", "required": ["running", "status"], "properties": {
  "run_id": {"type": ["string", "null"]}, "runId": {"type": ["string", "null"]}, "running": {"type": "boolean"}, "status": {"type": "string", "enum": ["none", "running", "succeeded", "failed", "cancelled", "timed_out", "sandbox_ended"]},
  "agent": {"type": ["string", "null"]}, "model": {"type": ["string", "null"]}, "error": {"type": ["string", "null"]},
  "current_task": {"type": ["string", "null"]}, "currentTask": {"type": ["string", "null"]}, "steps_completed": {"type": "integer"}, "stepsCompleted": {"type": "integer"},
  "files_modified": {"type": "array", "items": {"type": "string"}}, "filesModified": {"type": "array", "items": {"type": "string"}},
  "started_at": {"type": ["string", "null"]}, "startedAt": {"type": ["string", "null"]}, "ended_at": {"type": ["string", "null"]}, "endedAt": {"type": ["string", "null"]},
  "duration_ms": {"type": "integer"}, "durationMs": {"type": "integer"}, "exit_code": {"type": ["integer", "null"]}, "exitCode": {"type": ["integer", "null"]},
  "session_id": {"type": ["string", "null"]}, "sessionId": {"type": ["string", "null"]}}},
"AgentRuns": {"type": "object", "required": ["runs"], "properties": {"runs": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/AgentStatus"},
  {"type": "object", "required": ["output"], "properties": {"output": {"type": "string", "description": "Its last 64 KiB"}}}]}}}},
"AgentOutcome": {"type": "object", "required": ["status", "success", "output", "exit_code", "error"], "properties": {
  "status": {"type": "string", "enum": ["completed", "failed", "cancelled", "timed_out", "sandbox_ended"]}, "success": {"type": "boolean"}, "cancelled": {"type": "boolean"},
  "output": {"type": "string"}, "exit_code": {"type": "integer"}, "exitCode": {"type": "integer"}, "error": {"type": ["string", "null"]},
  "duration_ms": {"type": "integer"}, "files_modified": {"type": "array", "items": {"type": "string"}}, "session_id": {"type": ["string", "null"]}}},
"CancelledAgent": {"type": "object", "required": ["success", "cancelled"], "properties": {"success": {"type": "boolean", "const": true}, "cancelled": {"type": "boolean", "description": "Whether one was running"}}},
"AgentList": {"type": "object", "required": ["agents", "models"], "properties": {"models": {"type": "array", "items": {"type": "string"}},
  "agents": {"type": "array", "items": {"type": "object", "required": ["id", "name", "installed"], "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "installed": {"type": "boolean"}}}}}}
})json";

} // namespace

nlohmann::json agent_schemas() { return nlohmann::json::parse(schemas); }

void describe_agents(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "agents";
  constexpr std::string_view json_type = "application/json";
  all.push_back({"POST",
                 "/api/sandboxes/{id}/agent/run",
                 "run_agent",
                 tag,
                 "Runs a command-line agent: streams what it does, or answers at its end",
                 {},
                 {{json_type, "RunAgent"}},
                 {{"text/event-stream", "AgentEvents"}, {json_type, "AgentOutcome"}},
                 {400, 409, 413, 422, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/agent/cancel",
                 "cancel_agent",
                 tag,
                 "Ends the agent's run, whose stream then ends in order; may be repeated",
                 {},
                 {},
                 {{json_type, "CancelledAgent"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/agent/status",
                 "agent_status",
                 tag,
                 "What the sandbox's agent does, or did last",
                 {},
                 {},
                 {{json_type, "AgentStatus"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/agent/runs",
                 "list_agent_runs",
                 tag,
                 "The runs of agents in the sandbox, the newest first; the last 100 are kept while it lives",
                 {},
                 {},
                 {{json_type, "AgentRuns"}},
                 {}});
  all.push_back({"GET",
                 "/api/agents",
                 "list_agents",
                 tag,
                 "The agents that this server knows, and whether one of its images has them",
                 {},
                 {},
                 {{json_type, "AgentList"}},
                 {}});
}

} // namespace sandy::http::routes
