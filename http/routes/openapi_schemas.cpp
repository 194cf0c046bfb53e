#include "http/routes/openapi.hpp"

#include <nlohmann/json.hpp>

// Written as JSON, because that is what they are. A test parses them and checks every reference.

namespace sandy::http::routes {

namespace {

constexpr std::string_view parameters = R"json({
"id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"}, "description": "Id of a sandbox"},
"pid": {"name": "pid", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 0}, "description": "Id of a background process"},
"cid": {"name": "cid", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Id of a container"},
"follow_log": {"name": "follow", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Everything that is kept, and what comes, as events"},
"target": {"name": "target", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Id of the other sandbox"},
"name": {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Name of an image"},
"image_name": {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "Name of the image to be, where the body is the archive"},
"model": {"name": "model", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Id or alias of a model"},
"artifact": {"name": "artifact", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^artf_[0-9a-f]{12}$"}, "description": "Id of an artifact"},
"tenant": {"name": "tenant", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Name of a tenant, as the configuration gives it to keys"},
"node": {"name": "node", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Name of a node"},
"ids": {"name": "ids", "in": "query", "schema": {"type": "string"}, "description": "Sandbox ids, separated by commas; without it all of the caller's"},
"X-Sandy-Parent": {"name": "X-Sandy-Parent", "in": "header", "schema": {"type": "string"}, "description": "As parent_sandbox_id, which wins"},
"tail": {"name": "tail", "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": "At most so many of the newest lines; 0: all that are kept"},
"hours": {"name": "hours", "in": "query", "schema": {"type": "number", "default": 12}, "description": "How far back, 1 to 48; other values are clamped"},
"offset": {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0, "default": 0}, "description": "First byte wanted, counted over both streams"},
"terminal_process": {"name": "id", "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": "Attach to this process, which has a terminal; none: start one"},
"command": {"name": "command", "in": "query", "schema": {"type": "string"}, "description": "A shell script; none: the user's shell"},
"cwd": {"name": "cwd", "in": "query", "schema": {"type": "string"}, "description": "Where it starts; none: the sandbox's working directory"},
"cols": {"name": "cols", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 80}, "description": "Columns of the terminal"},
"rows": {"name": "rows", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 24}, "description": "Rows of the terminal"},
"terminal_offset": {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": "First byte of the output wanted; none: the oldest that is kept"},
"readonly": {"name": "readonly", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Look only: what this viewer types is dropped"},
"follow": {"name": "follow", "in": "query", "schema": {"type": "boolean", "default": true}, "description": "Wait for more until the process ends"},
"Last-Event-ID": {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "Id of the last event seen: resumes behind it, and wins over offset and after"},
"after": {"name": "after", "in": "query", "schema": {"type": "string", "pattern": "^([0-9]+|latest)$"}, "description": "Only events behind this number; latest: only what happens from now on"},
"sandbox_id": {"name": "sandbox_id", "in": "query", "schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"}, "description": "Only events of this sandbox"},
"types": {"name": "types", "in": "query", "schema": {"type": "string"}, "description": "Only events of these types, separated by commas"},
"follow_events": {"name": "follow", "in": "query", "schema": {"type": "boolean", "default": true}, "description": "Wait for more; otherwise the stream ends behind the newest event"},
"limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}, "description": "Events of one page, JSON only"},
"close": {"name": "close", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "With a body of bytes: close standard input behind them"},
"path": {"name": "path", "in": "query", "required": true, "schema": {"type": "string"}, "description": "Absolute, or relative to /workspace"},
"directory": {"name": "path", "in": "query", "schema": {"type": "string", "default": "/workspace"}, "description": "Absolute, or relative to /workspace"},
"raw": {"name": "raw", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Answer the bytes themselves; an Accept of application/octet-stream does the same"},
"encoding": {"name": "encoding", "in": "query", "schema": {"type": "string", "enum": ["utf-8", "base64", "raw"]}, "description": "base64: always so; raw: the bytes themselves; otherwise text where the file is UTF-8"},
"skip_dependencies": {"name": "skip_dependencies", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Leave out what happens in node_modules and .git"},
"recursive_list": {"name": "recursive", "in": "query", "schema": {"type": "boolean", "default": true}, "description": "Directories below, too"},
"recursive_delete": {"name": "recursive", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Also what is in a directory"},
"all": {"name": "all", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Also node_modules and .git"},
"sha256": {"name": "sha256", "in": "query", "schema": {"type": "boolean", "default": false}, "description": "Answer the file's digest in X-Content-SHA256; the file is read twice"},
"Range": {"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "One range of bytes; answered with status 206"},
"mode": {"name": "mode", "in": "query", "schema": {"type": "string", "default": "0644"}, "description": "Permission bits in octal; without it an existing file keeps its own"},
"X-Content-SHA256": {"name": "X-Content-SHA256", "in": "header", "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}, "description": "Checked before the file appears"},
"Repr-Digest": {"name": "Repr-Digest", "in": "header", "schema": {"type": "string"}, "description": "sha-256=:base64: (RFC 9530), checked before the file appears"},
"format": {"name": "format", "in": "query", "schema": {"type": "string", "enum": ["tar", "tgz"], "default": "tar"}, "description": "tgz: compressed"}
})json";

constexpr std::string_view request_schemas = R"json({
"CreateSandbox": {"type": "object", "properties": {
  "priority": {"type": ["integer", "string"], "default": 2, "description": "0 CRITICAL, 1 HIGH, 2 NORMAL, 3 LOW; number or word"},
  "preemptable": {"type": "boolean", "default": false},
  "flavor": {"type": "string", "default": "basic"},
  "image": {"type": "string", "description": "Name in the image store; default: the flavor's. The program of one that no flavor is made of is started"},
  "ttl_seconds": {"type": "number", "description": "Lifetime; also timeout_seconds, timeout, timeout_minutes; the first present counts, 0 is the default, more than the maximum is clamped"},
  "idle_timeout_seconds": {"type": "number", "description": "Unused for so long it ends; also idle_timeout; 0: it may be idle, absent: the server's default"},
  "pause_on_idle": {"type": "boolean", "default": false, "description": "When the idle timeout passes, pause it instead; its next use lets it go on"},
  "expose_ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}, "description": "Also ports; the union counts"},
  "private_ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}, "description": "Reached from outside with a signed URL only; see preview"},
  "resources": {"type": "object", "properties": {
    "cpu": {"type": ["number", "string"], "description": "Cores: 2, \"2\" or \"500m\""},
    "memory_mb": {"type": "number"}, "memory": {"type": ["string", "number"], "description": "\"4Gi\", \"512Mi\"; a bare number is bytes"},
    "disk_gb": {"type": "number"}, "disk": {"type": ["string", "number"]}, "pids": {"type": "integer"},
    "gpu": {"type": "boolean", "description": "Start a desktop, where the image desktop is installed"}}},
  "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "For every command; also envVars"},
  "working_directory": {"type": "string", "default": "/workspace"},
  "parent_sandbox_id": {"type": "string", "description": "The new sandbox is its child and ends with it; default: the sandbox that asks, with its token or from inside"},
  "connect_to": {"type": "array", "items": {"type": "string"}, "description": "Ids of sandboxes that it reaches by their ids as host names, from its first moment on; also connectTo"},
  "network": {"oneOf": [{"type": "string", "enum": ["none", "platform", "internet"]}, {"$ref": "#/components/schemas/Network"}], "description": "What it reaches of the world; by default what the configuration says, or what its parent has"},
  "secrets": {"oneOf": [{"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Secret"}, "description": "By name"}, {"type": "array", "items": {"$ref": "#/components/schemas/Secret"}, "description": "Each with a name"}], "description": "Values that never enter the sandbox: its variables hold placeholders, replaced in headers of requests to the named hosts"},
  "upstream": {"type": "string", "description": "A wish, echoed; one that begins with docker asks for the runtime docker"},
  "enableDockerSocket": {"type": "boolean", "description": "Docker's engine as the runtime, with its socket inside where the operator allows it; else the answer warns. Also enable_docker_socket"},
  "enableVnc": {"type": "boolean", "description": "Accepted; the answer warns that there is none"},
  "enableBrowser": {"type": "boolean", "description": "Accepted; the answer warns that there is none"},
  "browserSession": {"type": "object", "description": "Accepted; the answer warns that it was not restored"},
  "agent": {"type": "object", "description": "Accepted; the answer warns that there is none"}}},
"RefreshSandbox": {"type": "object", "properties": {"ttl_seconds": {"type": "number", "description": "0 or absent: the original lifetime"}}},
"PreviewSandbox": {"type": "object", "properties": {"port": {"type": "integer", "default": 5173}, "path": {"type": "string", "default": "/"}, "expiresIn": {"type": "integer", "minimum": 1, "maximum": 604800, "default": 3600, "description": "Seconds that a signed URL works"}, "expires_in": {"type": "integer"}}},
"SnapshotSandbox": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z0-9_-][a-z0-9._-]{0,127}$", "description": "Without it one is made"}}},
"ForkSandbox": {"type": "object", "properties": {
  "count": {"type": "integer", "minimum": 1, "maximum": 16, "default": 1}, "ttl_seconds": {"type": "number", "description": "Without it the original's lifetime"},
  "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "On top of the original's"}, "parent_sandbox_id": {"type": "string"}}},
"ChangeLimits": {"type": "object", "description": "0: no limit; what is absent stays as it is", "properties": {
  "requests_per_second": {"type": "integer", "minimum": 0}, "request_burst": {"type": "integer", "minimum": 0, "description": "Requests at once, after a pause; 0: as many as in one second"},
  "creations_per_minute": {"type": "integer", "minimum": 0}, "creations_per_hour": {"type": "integer", "minimum": 0},
  "sandboxes": {"type": "integer", "minimum": 0, "description": "Alive at once"}, "streams": {"type": "integer", "minimum": 0, "description": "Commands, event streams and file transfers at once"},
  "memory_bytes": {"type": "integer", "minimum": 0, "description": "Sum of the memory limits of the sandboxes alive"}}},
"Exec": {"type": "object", "required": ["command"], "properties": {
  "command": {"type": "string", "description": "A script for bash"},
  "cwd": {"type": "string", "description": "Absolute, or relative to the sandbox's working directory"},
  "env": {"type": "object", "additionalProperties": {"type": "string"}},
  "timeoutMs": {"type": "number", "description": "Milliseconds; wins over timeout"},
  "timeout": {"type": "number", "description": "Seconds"},
  "stream": {"type": "boolean", "default": false, "description": "Answer server-sent events; an Accept of text/event-stream does the same"},
  "background": {"type": "boolean", "default": false, "description": "Answer the process at once"},
  "stdin": {"type": "boolean", "default": false, "description": "Background only: keep standard input open for writing"},
  "ring_bytes": {"type": "integer", "maximum": 67108864, "description": "Background only: how much output is kept; default 1 MiB"}}},
"Stdin": {"type": "object", "properties": {"data": {"type": "string"}, "encoding": {"type": "string", "enum": ["utf-8", "base64"]}, "close": {"type": "boolean", "default": false}}},
"Signal": {"type": "object", "required": ["signal"], "properties": {"signal": {"type": ["string", "integer"], "description": "\"TERM\", \"SIGTERM\" or 15"}, "tree": {"type": "boolean", "default": true, "description": "Everything the process started, too"}}},
"WriteFile": {"type": "object", "required": ["path", "content"], "properties": {
  "path": {"type": "string"}, "content": {"type": "string"}, "encoding": {"type": "string", "enum": ["utf-8", "base64"], "default": "utf-8"},
  "mode": {"type": ["integer", "string"], "description": "A number, or a string in octal; without it 0644 or the existing file's"}}},
"MakeDirectory": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}, "mode": {"type": ["integer", "string"], "default": "0755"}}},
"MoveFile": {"type": "object", "required": ["from", "to"], "properties": {"from": {"type": "string"}, "to": {"type": "string"}, "overwrite": {"type": "boolean", "default": false}}},
"ArchiveRequest": {"type": "object", "properties": {"path": {"type": "string", "default": "/workspace"}, "format": {"type": "string", "enum": ["tar", "tgz"], "default": "tar"}}}
})json";

constexpr std::string_view sandbox_schemas = R"json({
"Error": {"type": "object", "required": ["detail", "error"], "properties": {
  "detail": {"type": ["string", "array"]},
  "error": {"type": "object", "required": ["code", "message"], "properties": {"code": {"type": "string"}, "message": {"type": "string"}}}}},
"Sandbox": {"type": "object", "required": ["id", "url", "status", "createdAt", "timeoutAt", "ttl_remaining"], "properties": {
  "id": {"type": "string"}, "sandboxId": {"type": "string"}, "sandbox_id": {"type": "string"},
  "url": {"type": "string"}, "public_url": {"type": "string"}, "publicUrl": {"type": "string"}, "sandbox_url": {"type": "string"}, "sandboxUrl": {"type": "string"},
  "host": {"type": "string"}, "port": {"type": "integer"},
  "status": {"type": "string", "enum": ["creating", "running", "paused", "terminating", "terminated"]},
  "flavor": {"type": "string"}, "image": {"type": "string"},
  "priority": {"type": "integer"}, "priorityName": {"type": "string"}, "priority_name": {"type": "string"},
  "preemptable": {"type": "boolean"}, "preemptible": {"type": "boolean"}, "upstream": {"type": ["string", "null"]},
  "runtime": {"type": "string", "enum": ["crun", "docker"], "description": "What isolates it"}, "dockerSocket": {"type": "boolean"}, "docker_socket": {"type": "boolean"},
  "expose_ports": {"type": "array", "items": {"type": "integer"}}, "exposePorts": {"type": "array", "items": {"type": "integer"}},
  "private_ports": {"type": "array", "items": {"type": "integer"}}, "privatePorts": {"type": "array", "items": {"type": "integer"}},
  "resources": {"type": "object", "properties": {"cpu": {"type": "number"}, "memory_mb": {"type": "integer"}, "memory_bytes": {"type": "integer"}, "disk_gb": {"type": "number"}, "disk_bytes": {"type": "integer"}, "pids": {"type": "integer"}}},
  "working_directory": {"type": "string"}, "workingDirectory": {"type": "string"},
  "createdAt": {"type": "string", "format": "date-time"}, "created_at": {"type": "string", "format": "date-time"},
  "timeoutAt": {"type": "string", "format": "date-time"}, "timeout_at": {"type": "string", "format": "date-time"},
  "expiresAt": {"type": "string", "format": "date-time"}, "expires_at": {"type": "string", "format": "date-time"},
  "ttl_remaining": {"type": "integer"}, "ttlRemaining": {"type": "integer"}, "ttl_seconds": {"type": "integer"}, "ttlSeconds": {"type": "integer"},
  "network": {"$ref": "#/components/schemas/Network"},
  "secrets": {"type": "array", "items": {"$ref": "#/components/schemas/SecretUse"}, "description": "Without their values"},
  "latest_expires_at": {"type": ["string", "null"], "format": "date-time", "description": "No refresh gets beyond"}, "latestExpiresAt": {"type": ["string", "null"], "format": "date-time"},
  "idle_timeout_seconds": {"type": "integer", "description": "0: it may be idle"}, "idleTimeoutSeconds": {"type": "integer"}, "pause_on_idle": {"type": "boolean"}, "pauseOnIdle": {"type": "boolean"},
  "paused": {"type": "boolean"}, "paused_by": {"type": ["string", "null"], "enum": ["caller", "idle", null], "description": "caller: until it is resumed; idle: until its next use"}, "pausedBy": {"type": ["string", "null"], "enum": ["caller", "idle", null]},
  "vnc": {"type": "object", "properties": {"enabled": {"type": "boolean"}}}, "vncPort": {"type": ["integer", "null"]}, "vnc_port": {"type": ["integer", "null"]},
  "capabilities": {"type": "object", "properties": {"vnc": {"type": "boolean"}, "browser": {"type": "boolean"}, "agentBrowser": {"type": "boolean"}, "playwright": {"type": "boolean"}, "agents": {"type": "array", "items": {"type": "string"}}}},
  "parent_sandbox_id": {"type": ["string", "null"], "description": "The sandbox that it is a child of"}, "parentSandboxId": {"type": ["string", "null"]}}},
"CreatedSandbox": {"allOf": [{"$ref": "#/components/schemas/Sandbox"}, {"type": "object", "required": ["warnings"], "properties": {
  "warnings": {"type": "array", "items": {"type": "string"}, "description": "What was asked for and not granted, one sentence each"}}}]},
"SandboxList": {"type": "object", "required": ["sandboxes", "total"], "properties": {"sandboxes": {"type": "array", "items": {"$ref": "#/components/schemas/Sandbox"}}, "total": {"type": "integer"}}},
"ConnectSandbox": {"type": "object", "required": ["target"], "properties": {"target": {"type": "string", "description": "Id of the other sandbox; also target_id, targetId, sandbox_id, sandboxId"}}},
"Network": {"type": "object", "properties": {
  "mode": {"type": "string", "enum": ["none", "platform", "internet"], "description": "none: this API alone; platform: what the installation relays, too; internet: what the lists allow, too"},
  "allow": {"type": "array", "items": {"type": "string"}, "description": "example.com, *.example.com (the names below it), an address or a range such as 93.184.0.0/16, each with an optional port or range of ports: example.com:443, 93.184.0.0/16:80-443. Empty: everything public"},
  "deny": {"type": "array", "items": {"type": "string"}, "description": "The same, stronger than allow"},
  "max_bytes": {"type": ["integer", "string"], "description": "Sent and received, in its life; 0: no bound; also maxBytes"}}},
"NetworkReport": {"allOf": [{"$ref": "#/components/schemas/Network"}, {"type": "object", "required": ["mode", "allow", "deny", "max_bytes", "usage"], "properties": {"usage": {"type": "object", "properties": {
  "sent_bytes": {"type": "integer"}, "sentBytes": {"type": "integer"}, "received_bytes": {"type": "integer"}, "receivedBytes": {"type": "integer"},
  "connections": {"type": "integer", "description": "That were let through"}, "connections_refused": {"type": "integer"}, "connectionsRefused": {"type": "integer"}, "connections_open": {"type": "integer"}, "connectionsOpen": {"type": "integer"},
  "names_asked": {"type": "integer"}, "namesAsked": {"type": "integer"}, "names_refused": {"type": "integer"}, "spent": {"type": "boolean", "description": "max_bytes is used up: nothing goes through any more"}, "namesRefused": {"type": "integer"}}}}}]},
"Secret": {"type": "object", "required": ["value", "hosts"], "properties": {
  "name": {"type": "string", "description": "Of the variable that holds the placeholder; in the list form"},
  "value": {"type": "string", "maxLength": 16384, "writeOnly": true, "description": "No control characters: it becomes a part of a header"},
  "hosts": {"type": "array", "minItems": 1, "maxItems": 32, "items": {"type": "string"}, "description": "api.example.com, *.example.com (the names below it), each with an optional port; without one 443, or 80 for plain HTTP"},
  "allowHttp": {"type": "boolean", "default": false, "description": "Also in requests without TLS; also allow_http"}}},
"SecretUse": {"type": "object", "required": ["name", "hosts", "allowHttp"], "properties": {
  "name": {"type": "string"}, "hosts": {"type": "array", "items": {"type": "string"}}, "allowHttp": {"type": "boolean"}, "allow_http": {"type": "boolean"}}},
"Connection": {"type": "object", "required": ["source", "target", "direction", "name", "address", "createdAt"], "properties": {
  "source": {"type": "string", "description": "The sandbox that reaches the other"}, "sourceId": {"type": "string"}, "source_id": {"type": "string"},
  "target": {"type": "string"}, "targetId": {"type": "string"}, "target_id": {"type": "string"},
  "direction": {"type": "string", "enum": ["outbound", "inbound"], "description": "As the sandbox asked about sees it"},
  "name": {"type": "string", "description": "The target's host name inside the source"},
  "address": {"type": "string", "description": "What the name stands for there"},
  "createdAt": {"type": "string", "format": "date-time"}, "created_at": {"type": "string", "format": "date-time"}}},
"ConnectionList": {"type": "object", "required": ["connections", "total"], "properties": {"connections": {"type": "array", "items": {"$ref": "#/components/schemas/Connection"}}, "total": {"type": "integer"}}},
"Disconnected": {"type": "object", "required": ["status", "ok", "source", "target"], "properties": {
  "status": {"type": "string", "enum": ["disconnected"]}, "ok": {"type": "boolean"},
  "source": {"type": "string"}, "sourceId": {"type": "string"}, "source_id": {"type": "string"},
  "target": {"type": "string"}, "targetId": {"type": "string"}, "target_id": {"type": "string"}}},
"Image": {"type": "object", "required": ["name", "snapshot", "created_at"], "properties": {
  "name": {"type": "string"}, "image": {"type": "string"}, "snapshot": {"type": "boolean"},
  "created_at": {"type": "string", "format": "date-time"}, "createdAt": {"type": "string", "format": "date-time"},
  "size_bytes": {"type": "integer"}, "sizeBytes": {"type": "integer"}, "source_sandbox_id": {"type": "string"}, "sourceSandboxId": {"type": "string"},
  "imported": {"type": "boolean"}, "digest": {"type": "string"}, "layers": {"type": "array", "items": {"type": "string"}, "description": "Lowest first"},
  "aliases": {"type": "array", "items": {"type": "string"}, "description": "What callers may call it, too"}}},
"ImportImage": {"type": "object", "description": "A name and a path, or a reference with or without a name", "properties": {
  "name": {"type": "string"}, "path": {"type": "string", "description": "An archive of the server's machine, below a directory that its operator allows"},
  "reference": {"type": "string", "description": "An image of a registry that its operator allows, as ghcr.io/team/image:1"}}},
"DeletedImage": {"allOf": [{"$ref": "#/components/schemas/Image"}, {"type": "object", "required": ["deleted"], "properties": {"deleted": {"type": "boolean", "const": true}}}]},
"ImageList": {"type": "object", "required": ["images", "total"], "properties": {"images": {"type": "array", "items": {"$ref": "#/components/schemas/Image"}}, "total": {"type": "integer"}}},
"EndedSandbox": {"type": "object", "required": ["status", "ok"], "properties": {
  "status": {"type": "string", "const": "terminated"}, "id": {"type": "string"}, "sandboxId": {"type": "string"}, "sandbox_id": {"type": "string"},
  "reason": {"type": "string"}, "ok": {"type": "boolean"}}},
"PlatformUsage": {"type": "object", "required": ["sandbox_id", "requests", "tokens", "cost", "limits"], "properties": {
  "sandbox_id": {"type": "string"}, "sandboxId": {"type": "string"}, "requests": {"type": "integer"}, "tokens": {"type": "integer"},
  "input_tokens": {"type": "integer"}, "inputTokens": {"type": "integer"}, "output_tokens": {"type": "integer"}, "outputTokens": {"type": "integer"},
  "cost": {"type": "number"}, "cost_usd": {"type": "number"}, "costUsd": {"type": "number"},
  "violations": {"type": "integer", "description": "Requests for what is no service"},
  "limits": {"type": "object", "description": "null: none", "properties": {"requests": {"type": ["integer", "null"]}, "tokens": {"type": ["integer", "null"]}, "cost": {"type": ["number", "null"]}}}}},
"Logs": {"type": "object", "required": ["logs"], "properties": {"logs": {"type": "array", "items": {"type": "object", "properties": {"timestamp": {"type": "string", "format": "date-time"}, "source": {"type": "string"}, "line": {"type": "string"}}}}}},
"Preview": {"type": "object", "required": ["url", "port", "ready"], "properties": {"url": {"type": "string"}, "previewUrl": {"type": "string"}, "preview_url": {"type": "string"}, "port": {"type": "integer"}, "ready": {"type": "boolean", "description": "Something listens"}, "signed": {"type": "boolean", "description": "The URL has a signature, and works until expires_at"}, "expiresAt": {"type": ["string", "null"], "format": "date-time"}, "expires_at": {"type": ["string", "null"], "format": "date-time"}}},
"Vnc": {"type": "object", "required": ["enabled"], "properties": {"enabled": {"type": "boolean"}, "port": {"type": ["integer", "null"]}, "url": {"type": ["string", "null"]}, "websocketUrl": {"type": ["string", "null"]}, "websocket_url": {"type": ["string", "null"]}, "ready": {"type": "boolean"}, "path": {"type": "string"}, "resolution": {"type": ["string", "null"]}, "passwordRequired": {"type": "boolean"}}},
"StatsList": {"type": "array", "items": {"type": "object", "required": ["sandbox_id"], "properties": {
  "sandbox_id": {"type": "string"}, "sandboxId": {"type": "string"}, "container_id": {"type": ["string", "null"]},
  "cpu_ratio": {"type": ["number", "null"]}, "memory_ratio": {"type": ["number", "null"]}, "cpu_cores_used": {"type": "number"}, "cpu_cores_total": {"type": ["integer", "null"]},
  "memory_usage_bytes": {"type": "integer"}, "memory_limit_bytes": {"type": "integer"}, "disk_bytes": {"type": "integer"}, "disk_limit_bytes": {"type": "integer"},
  "pids": {"type": "integer"}, "pids_limit": {"type": "integer"}, "oom_kills": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}}}
})json";

constexpr std::string_view work_schemas = R"json({
"Exit": {"type": "object", "required": ["exitCode", "exit_code", "timedOut"], "properties": {
  "exitCode": {"type": "integer", "description": "128 + signal for a signal, 124 for a timeout"}, "exit_code": {"type": "integer"}, "signal": {"type": ["integer", "null"]},
  "timedOut": {"type": "boolean"}, "timed_out": {"type": "boolean"}, "durationMs": {"type": "integer"}, "duration_ms": {"type": "integer"},
  "outputBytes": {"type": "integer"}, "output_bytes": {"type": "integer"}}},
"ExecResult": {"allOf": [{"$ref": "#/components/schemas/Exit"}, {"type": "object", "required": ["stdout", "stderr", "truncated"], "properties": {
  "stdout": {"type": "string"}, "stderr": {"type": "string"}, "truncated": {"type": "boolean"},
  "stdoutTruncatedBytes": {"type": "integer"}, "stdout_truncated_bytes": {"type": "integer"}, "stderrTruncatedBytes": {"type": "integer"}, "stderr_truncated_bytes": {"type": "integer"}}}]},
"ExecAnswer": {"anyOf": [{"$ref": "#/components/schemas/ExecResult"}, {"$ref": "#/components/schemas/Process"}], "description": "The result, or with background the process"},
"OutputEvents": {"type": "string", "description": "Events stdout and stderr with {offset, text} or {offset, base64}, gap with {from, to}, and last exit with an Exit, or error with an Error. The id of an event is the offset behind it."},
"Process": {"type": "object", "required": ["pid", "status"], "properties": {
  "pid": {"type": "integer"}, "processId": {"type": "integer"}, "process_id": {"type": "integer"}, "command": {"type": "string"}, "status": {"type": "string", "enum": ["running", "exited"]},
  "exitCode": {"type": ["integer", "null"]}, "exit_code": {"type": ["integer", "null"]}, "signal": {"type": ["integer", "null"]},
  "timedOut": {"type": "boolean"}, "timed_out": {"type": "boolean"}, "durationMs": {"type": ["integer", "null"]}, "duration_ms": {"type": ["integer", "null"]},
  "startedAt": {"type": "string", "format": "date-time"}, "started_at": {"type": "string", "format": "date-time"},
  "outputBytes": {"type": "integer"}, "output_bytes": {"type": "integer"}, "outputStart": {"type": "integer", "description": "The oldest byte still kept"}, "output_start": {"type": "integer"},
  "terminal": {"type": "boolean"}, "cols": {"type": "integer", "description": "Of a terminal"}, "rows": {"type": "integer", "description": "Of a terminal"}}},
"ProcessList": {"type": "object", "required": ["processes", "total"], "properties": {"processes": {"type": "array", "items": {"$ref": "#/components/schemas/Process"}}, "total": {"type": "integer"}}},
"StdinWritten": {"type": "object", "properties": {"success": {"type": "boolean"}, "written": {"type": "integer"}, "closed": {"type": "boolean"}}},
"SignalSent": {"type": "object", "properties": {"success": {"type": "boolean"}, "pid": {"type": "integer"}, "signal": {"type": "integer"}}},
"Done": {"type": "object", "required": ["success", "path"], "properties": {"success": {"type": "boolean"}, "path": {"type": "string"}}},
"FileWritten": {"type": "object", "required": ["success", "path", "size"], "properties": {"success": {"type": "boolean"}, "path": {"type": "string"}, "size": {"type": "integer"}}},
"FileUploaded": {"type": "object", "required": ["success", "path", "size", "sha256"], "properties": {"success": {"type": "boolean"}, "path": {"type": "string"}, "size": {"type": "integer"}, "sha256": {"type": "string"}}},
"FileInfo": {"type": "object", "required": ["path", "type", "size"], "properties": {
  "path": {"type": "string"}, "type": {"type": "string", "enum": ["file", "directory", "symlink", "other"]}, "size": {"type": "integer"}, "mode": {"type": "string"},
  "modifiedAt": {"type": "string", "format": "date-time"}, "modified_at": {"type": "string", "format": "date-time"}, "target": {"type": ["string", "null"]}}},
"FileContent": {"allOf": [{"$ref": "#/components/schemas/FileInfo"}, {"type": "object", "required": ["content", "encoding"], "properties": {"content": {"type": "string"}, "encoding": {"type": "string", "enum": ["utf-8", "base64"]}}}]},
"FileList": {"type": "object", "required": ["path", "files", "entries"], "properties": {
  "path": {"type": "string"}, "files": {"type": "array", "items": {"type": "string"}, "description": "Names of what is no directory, relative to the path"},
  "entries": {"type": "array", "items": {"$ref": "#/components/schemas/FileInfo"}}}},
"WatchEvents": {"type": "string", "description": "Events created, modified, deleted, moved and overflow with {kind, path, from, directory}; error when the sandbox ends."}
})json";

constexpr std::string_view server_schemas = R"json({
"Resources": {"type": "object", "required": ["canCreateSandbox", "limits", "priorityBreakdown", "warmPool"], "properties": {
  "canCreateSandbox": {"type": "boolean"}, "rejectReason": {"type": ["string", "null"]}, "sandboxCount": {"type": "integer"},
  "limits": {"type": "object", "additionalProperties": {"type": ["number", "null"]}}, "priorityBreakdown": {"type": "object", "additionalProperties": {"type": "integer"}},
  "cpuCount": {"type": "integer"}, "cpuRatio": {"type": "number"}, "cpuPercent": {"type": "number"}, "memoryPercent": {"type": "number"},
  "memoryTotalGb": {"type": "number"}, "memoryAvailableGb": {"type": "number"}, "memoryTotalBytes": {"type": "integer"}, "memoryUsedBytes": {"type": "integer"}, "memoryAvailableBytes": {"type": "integer"},
  "diskTotalBytes": {"type": "integer"}, "diskUsedBytes": {"type": "integer"}, "diskFreeBytes": {"type": "integer"}, "diskUsedRatio": {"type": "number"},
  "load1": {"type": "number"}, "load5": {"type": "number"}, "load15": {"type": "number"}, "warmPool": {"$ref": "#/components/schemas/WarmPool"},
  "waitingCreations": {"type": "integer"}, "longestWaitMs": {"type": "integer"}, "runningCreations": {"type": "integer"},
  "room": {"type": "object", "description": "By name: sandboxes, memory, cpu, pids, disk", "additionalProperties": {"type": "object", "properties": {
    "total": {"type": "number"}, "promised": {"type": "number"}, "promisable": {"type": ["number", "null"]}, "left": {"type": "number"}, "reserve": {"type": "number"}}}}},
  "description": "Every value also in snake_case; the loads as load_avg_1m, load_avg_5m, load_avg_15m"},
"WarmPool": {"type": "object", "additionalProperties": {"type": "object", "required": ["available", "target"], "properties": {"available": {"type": "integer"}, "target": {"type": "integer"}, "hits": {"type": "integer"}, "misses": {"type": "integer"}, "oldest_age_seconds": {"type": "integer"}, "last_refill_ms": {"type": "integer"}}}},
"Timeseries": {"type": "array", "items": {"type": "object", "required": ["timestamp"], "properties": {"timestamp": {"type": "string", "format": "date-time"}, "cpu_ratio": {"type": "number"}, "memory_ratio": {"type": "number"}, "disk_ratio": {"type": "number"}}}},
"LifeEvent": {"type": "object", "required": ["sequence", "type", "at", "tenant", "sandbox_id", "parent_sandbox_id", "reason"], "properties": {
  "sequence": {"type": "integer"}, "type": {"type": "string", "enum": ["sandbox.created", "sandbox.renewed", "sandbox.ending", "sandbox.failed", "sandbox.ended", "sandbox.paused", "sandbox.resumed", "sandbox.network_spent"]},
  "at": {"type": "string", "format": "date-time"}, "tenant": {"type": "string"}, "sandbox_id": {"type": "string"}, "sandboxId": {"type": "string"},
  "parent_sandbox_id": {"type": ["string", "null"]}, "parentSandboxId": {"type": ["string", "null"]}, "reason": {"type": ["string", "null"], "description": "Why it ends, or ended"}}},
"LifePage": {"type": "object", "required": ["events", "next", "gap"], "properties": {"events": {"type": "array", "items": {"$ref": "#/components/schemas/LifeEvent"}},
  "next": {"type": "integer", "description": "Go on with after="}, "gap": {"type": ["object", "null"], "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}}, "description": "Numbers that are not kept any more"}}},
"LifeEvents": {"type": "string", "description": "Events named by their type, each with a LifeEvent and its number as id; gap with {from, to} where numbers are not kept any more; error with an Error when the stream breaks."},
"Health": {"type": "object", "required": ["status", "warmPool"], "properties": {"status": {"type": "string", "enum": ["ok", "draining"]}, "sandboxes": {"type": "integer"}, "warmPool": {"$ref": "#/components/schemas/WarmPool"}, "version": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time", "description": "At /health alone"}}},
"Limits": {"type": "object", "required": ["tenant", "requests_per_second", "request_burst", "creations_per_minute", "creations_per_hour", "sandboxes", "streams", "memory_bytes"], "description": "0: no limit", "properties": {
  "tenant": {"type": "string"}, "requests_per_second": {"type": "integer", "minimum": 0}, "request_burst": {"type": "integer", "minimum": 0, "description": "Requests at once, after a pause; 0: as many as in one second"},
  "creations_per_minute": {"type": "integer", "minimum": 0}, "creations_per_hour": {"type": "integer", "minimum": 0},
  "sandboxes": {"type": "integer", "minimum": 0, "description": "Alive at once"}, "streams": {"type": "integer", "minimum": 0, "description": "Commands, event streams and file transfers at once"},
  "memory_bytes": {"type": "integer", "minimum": 0, "description": "Sum of the memory limits of the sandboxes alive"}}},
"Index": {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "links": {"type": "object", "additionalProperties": {"type": "string"}}}}
})json";

} // namespace

nlohmann::json described_parameters() { return nlohmann::json::parse(parameters); }

nlohmann::json described_schemas() {
  auto all = nlohmann::json::object();
  for (auto part : {request_schemas, sandbox_schemas, work_schemas, server_schemas})
    all.update(nlohmann::json::parse(part));
  all.update(agent_schemas());
  all.update(chat_schemas());
  all.update(container_schemas());
  all.update(dialect_schemas());
  all.update(cluster_schemas());
  return all;
}

} // namespace sandy::http::routes
