#include "http/routes/openapi.hpp"

namespace sandy::http::routes {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view events = "text/event-stream";
constexpr std::string_view octets = "application/octet-stream";

void describe_sandboxes(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "sandboxes";
  all.push_back({"POST",
                 "/api/sandboxes",
                 "create_sandbox",
                 tag,
                 "Makes a sandbox; it takes commands when this answers",
                 {"X-Sandy-Parent"},
                 {{json_type, "CreateSandbox"}},
                 {{json_type, "CreatedSandbox"}},
                 {400, 404, 413, 422, 429, 502}});
  all.push_back({"GET",
                 "/api/sandboxes",
                 "list_sandboxes",
                 tag,
                 "The caller's living sandboxes, oldest first",
                 {},
                 {},
                 {{json_type, "SandboxList"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/stats",
                 "sandbox_stats",
                 tag,
                 "What sandboxes use",
                 {"ids"},
                 {},
                 {{json_type, "StatsList"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}",
                 "get_sandbox",
                 tag,
                 "One sandbox",
                 {},
                 {},
                 {{json_type, "Sandbox"}},
                 {}});
  all.push_back({"DELETE",
                 "/api/sandboxes/{id}",
                 "delete_sandbox",
                 tag,
                 "Ends a sandbox; may be repeated",
                 {},
                 {},
                 {{json_type, "EndedSandbox"}},
                 {}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/terminate",
                 "terminate_sandbox",
                 tag,
                 "Ends a sandbox; may be repeated",
                 {},
                 {},
                 {{json_type, "EndedSandbox"}},
                 {}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/refresh",
                 "refresh_sandbox",
                 tag,
                 "Moves the deadline: a whole lifetime from now",
                 {},
                 {{json_type, "RefreshSandbox"}},
                 {{json_type, "CreatedSandbox"}},
                 {400, 413, 422}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/pause",
                 "pause_sandbox",
                 tag,
                 "Stops every process of a sandbox until it is resumed; its lifetime goes on",
                 {},
                 {},
                 {{json_type, "Sandbox"}},
                 {502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/resume",
                 "resume_sandbox",
                 tag,
                 "Lets the processes of a paused sandbox go on",
                 {},
                 {},
                 {{json_type, "Sandbox"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/children",
                 "list_children",
                 tag,
                 "The living sandboxes whose parent it is, oldest first",
                 {},
                 {},
                 {{json_type, "SandboxList"}},
                 {}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/connect",
                 "connect_sandbox",
                 tag,
                 "Lets it reach another's TCP ports, by the other's id as a host name; repeatable",
                 {},
                 {{json_type, "ConnectSandbox"}},
                 {{json_type, "Connection"}},
                 {400, 409, 413, 422, 501}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/disconnect",
                 "disconnect_sandbox",
                 tag,
                 "Undoes that, and cuts what is open; repeatable",
                 {},
                 {{json_type, "ConnectSandbox"}},
                 {{json_type, "Disconnected"}},
                 {400, 413, 422}});
  all.push_back({"DELETE",
                 "/api/sandboxes/{id}/connect/{target}",
                 "remove_connection",
                 tag,
                 "The same, without a body",
                 {},
                 {},
                 {{json_type, "Disconnected"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/connections",
                 "list_connections",
                 tag,
                 "The connections from it and to it, oldest first",
                 {},
                 {},
                 {{json_type, "ConnectionList"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/network",
                 "get_network",
                 tag,
                 "What it may reach of the world, and what it used",
                 {},
                 {},
                 {{json_type, "NetworkReport"}},
                 {}});
  all.push_back(
      {"PUT",
       "/api/sandboxes/{id}/network",
       "set_network",
       tag,
       "Gives it another network policy, whole, at once; what is open and not allowed any more is cut. A "
       "sandbox's own token may only make it stricter",
       {},
       {{json_type, "Network"}},
       {{json_type, "NetworkReport"}},
       {400, 403, 413, 422}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/usage",
                 "get_usage",
                 tag,
                 "What it, with its descendants, used of the platform's services, and may use",
                 {},
                 {},
                 {{json_type, "PlatformUsage"}},
                 {}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/logs",
                 "sandbox_logs",
                 tag,
                 "Lines about the sandbox's life",
                 {"tail"},
                 {},
                 {{json_type, "Logs"}},
                 {400}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/preview",
                 "preview_sandbox",
                 tag,
                 "The URL of a port, signed where not everybody may reach it, and whether it listens",
                 {},
                 {{json_type, "PreviewSandbox"}},
                 {{json_type, "Preview"}},
                 {400, 413, 422}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/vnc",
                 "sandbox_vnc",
                 tag,
                 "How to see the desktop",
                 {},
                 {},
                 {{json_type, "Vnc"}},
                 {}});
}

void describe_images(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "images";
  all.push_back({"POST",
                 "/api/sandboxes/{id}/snapshot",
                 "snapshot_sandbox",
                 tag,
                 "Keeps the sandbox's file system under a name",
                 {},
                 {{json_type, "SnapshotSandbox"}},
                 {{json_type, "Image"}},
                 {400, 409, 413, 422, 429, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/fork",
                 "fork_sandbox",
                 tag,
                 "Makes sandboxes with the file system that this one has now; all or none",
                 {},
                 {{json_type, "ForkSandbox"}},
                 {{json_type, "SandboxList"}},
                 {400, 409, 413, 422, 429, 502}});
  all.push_back({"GET",
                 "/api/images",
                 "list_images",
                 tag,
                 "What the caller can make sandboxes from, by name",
                 {},
                 {},
                 {{json_type, "ImageList"}},
                 {}});
  all.push_back(
      {"POST",
       "/api/images",
       "import_image",
       tag,
       "Makes an image from an archive (an OCI layout, or what docker save writes) or of a registry; for "
       "administrators",
       {"image_name"},
       {{octets, ""}, {"application/x-tar", ""}, {json_type, "ImportImage"}},
       {{json_type, "Image"}, {events, ""}},
       {400, 403, 409, 413, 422, 502, 503}});
  all.push_back({"GET",
                 "/api/images/{name}",
                 "get_image",
                 tag,
                 "One image",
                 {"name"},
                 {},
                 {{json_type, "Image"}},
                 {404}});
  all.push_back({"DELETE",
                 "/api/images/{name}",
                 "delete_image",
                 tag,
                 "Forgets a snapshot, or an image that was imported; sandboxes made from it live on",
                 {"name"},
                 {},
                 {{json_type, "DeletedImage"}},
                 {403, 404}});
}

void describe_commands(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "commands";
  all.push_back(
      {"POST",
       "/api/sandboxes/{id}/exec",
       "exec",
       tag,
       "Runs a shell script: answers at its end, streams its output, or starts it in the background",
       {},
       {{json_type, "Exec"}},
       {{json_type, "ExecAnswer"}, {events, "OutputEvents"}},
       {400, 409, 413, 422, 502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/processes",
                 "list_processes",
                 tag,
                 "The background processes",
                 {},
                 {},
                 {{json_type, "ProcessList"}},
                 {502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/processes/{pid}",
                 "get_process",
                 tag,
                 "One background process",
                 {},
                 {},
                 {{json_type, "Process"}},
                 {502}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/processes/{pid}/output",
                 "process_output",
                 tag,
                 "Output of a background process, from any offset that is still kept",
                 {"offset", "follow", "Last-Event-ID"},
                 {},
                 {{events, "OutputEvents"}},
                 {400, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/processes/{pid}/stdin",
                 "write_stdin",
                 tag,
                 "Writes to the standard input of a background process",
                 {"close"},
                 {{json_type, "Stdin"}, {octets, ""}},
                 {{json_type, "StdinWritten"}},
                 {400, 409, 413, 422, 502}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/processes/{pid}/signal",
                 "signal_process",
                 tag,
                 "Signals a background process, and what it started",
                 {},
                 {{json_type, "Signal"}},
                 {{json_type, "SignalSent"}},
                 {400, 413, 422, 502}});
  all.push_back(
      {.method = "GET",
       .path = "/api/sandboxes/{id}/terminal",
       .id = "terminal",
       .tag = tag,
       .summary = "A terminal, or a look at one, as a WebSocket; its messages are in the documentation",
       .parameters = {"terminal_process", "command", "cwd", "cols", "rows", "terminal_offset", "readonly"},
       .errors = {400, 403, 426, 502},
       .websocket = true});
}

void describe_files(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "files";
  all.push_back({"POST",
                 "/api/sandboxes/{id}/files/write",
                 "write_file",
                 tag,
                 "Writes a file; parents are made, an existing file is replaced at once",
                 {},
                 {{json_type, "WriteFile"}},
                 {{json_type, "FileWritten"}},
                 {400, 403, 409, 413, 422, 507}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files/read",
                 "read_file",
                 tag,
                 "Reads a file, as JSON or as bytes",
                 {"path", "raw", "encoding"},
                 {},
                 {{json_type, "FileContent"}, {octets, ""}},
                 {400, 422}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files/list",
                 "list_files",
                 tag,
                 "Files below a directory, without node_modules and .git",
                 {"directory", "recursive_list", "all"},
                 {},
                 {{json_type, "FileList"}},
                 {400}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files",
                 "download_file",
                 tag,
                 "The bytes of a file of any size; ranges work",
                 {"path", "sha256", "Range"},
                 {},
                 {{octets, ""}},
                 {400, 416, 422}});
  all.push_back({"PUT",
                 "/api/sandboxes/{id}/files",
                 "upload_file",
                 tag,
                 "Replaces a file by the body, of any size, when all of it has arrived",
                 {"path", "mode", "X-Content-SHA256", "Repr-Digest"},
                 {{octets, ""}},
                 {{json_type, "FileUploaded"}},
                 {400, 403, 409, 422, 507}});
  all.push_back({"DELETE",
                 "/api/sandboxes/{id}/files",
                 "delete_file",
                 tag,
                 "Removes a file or a directory",
                 {"path", "recursive_delete"},
                 {},
                 {{json_type, "Done"}},
                 {400, 403, 409, 422}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/files/mkdir",
                 "make_directory",
                 tag,
                 "Makes a directory and its parents",
                 {},
                 {{json_type, "MakeDirectory"}},
                 {{json_type, "Done"}},
                 {400, 403, 409, 413, 422, 507}});
  all.push_back({"POST",
                 "/api/sandboxes/{id}/files/move",
                 "move_file",
                 tag,
                 "Moves or renames",
                 {},
                 {{json_type, "MoveFile"}},
                 {{json_type, "Done"}},
                 {400, 403, 409, 413, 422, 507}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files/stat",
                 "stat_file",
                 tag,
                 "What a path is",
                 {"path"},
                 {},
                 {{json_type, "FileInfo"}},
                 {400, 422}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files/archive",
                 "download_archive",
                 tag,
                 "A directory as a tar",
                 {"directory", "format"},
                 {},
                 {{"application/x-tar", ""}, {"application/gzip", ""}},
                 {400}});
  all.push_back(
      {"POST",
       "/api/sandboxes/{id}/files/archive",
       "post_archive",
       tag,
       "Unpacks the tar in the body into the directory; a JSON body asks for the directory as a tar",
       {"directory"},
       {{"application/x-tar", ""}, {"application/gzip", ""}, {json_type, "ArchiveRequest"}},
       {{json_type, "Done"}, {"application/x-tar", ""}, {"application/gzip", ""}},
       {400, 403, 409, 413, 422, 507}});
  all.push_back({"GET",
                 "/api/sandboxes/{id}/files/watch",
                 "watch_files",
                 tag,
                 "Changes below a directory, as they happen",
                 {"directory", "recursive_list", "skip_dependencies"},
                 {},
                 {{events, "WatchEvents"}},
                 {400}});
}

void describe_server(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "server";
  all.push_back({"GET",
                 "/api/resources",
                 "resources",
                 tag,
                 "What this machine has left",
                 {},
                 {},
                 {{json_type, "Resources"}},
                 {403}});
  all.push_back({"GET",
                 "/api/metrics/timeseries",
                 "timeseries",
                 tag,
                 "The machine's history, a point a minute",
                 {"hours"},
                 {},
                 {{json_type, "Timeseries"}},
                 {403, 422}});
  all.push_back(
      {"GET",
       "/api/events",
       "events",
       tag,
       "What happens to the caller's sandboxes: the history, then each event as it comes; with an Accept of "
       "application/json one page",
       {"Last-Event-ID", "after", "sandbox_id", "types", "follow_events", "limit"},
       {},
       {{events, "LifeEvents"}, {json_type, "LifePage"}},
       {400}});
  all.push_back({"GET",
                 "/api/health",
                 "api_health",
                 tag,
                 "Whether the server takes new work",
                 {},
                 {},
                 {{json_type, "Health"}},
                 {},
                 true});
  all.push_back({"GET",
                 "/health",
                 "health",
                 tag,
                 "Whether the server takes new work",
                 {},
                 {},
                 {{json_type, "Health"}},
                 {},
                 true});
  all.push_back({"GET",
                 "/metrics",
                 "metrics",
                 tag,
                 "Everything that is counted, for Prometheus",
                 {},
                 {},
                 {{"text/plain", ""}},
                 {403},
                 true});
  all.push_back(
      {"GET", "/openapi.json", "openapi", tag, "This document", {}, {}, {{json_type, ""}}, {}, true});
  all.push_back(
      {"GET", "/", "index", tag, "Name, version and links", {}, {}, {{json_type, "Index"}}, {}, true});
}

void describe_administration(std::vector<described_operation>& all) {
  constexpr std::string_view tag = "administration";
  all.push_back({"GET",
                 "/api/admin/limits/{tenant}",
                 "get_limits",
                 tag,
                 "What a tenant may use; for administrators",
                 {},
                 {},
                 {{json_type, "Limits"}},
                 {403}});
  all.push_back({"PUT",
                 "/api/admin/limits/{tenant}",
                 "set_limits",
                 tag,
                 "Changes what a tenant may use, until the server ends; for administrators",
                 {},
                 {{json_type, "ChangeLimits"}},
                 {{json_type, "Limits"}},
                 {400, 403, 413, 422}});
}

} // namespace

std::vector<described_operation> described_operations() {
  std::vector<described_operation> all;
  describe_sandboxes(all);
  describe_images(all);
  describe_commands(all);
  describe_agents(all);
  describe_chats(all);
  describe_containers(all);
  describe_dialects(all);
  describe_files(all);
  describe_server(all);
  describe_administration(all);
  describe_cluster(all);
  return all;
}

} // namespace sandy::http::routes
