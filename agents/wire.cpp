#include "agents/wire.hpp"

#include "agents/json_text.hpp"

namespace sandy::agents {

namespace {

std::string framed(std::string_view object) {
  std::string made = "data: ";
  made.reserve(object.size() + 8);
  return made.append(object).append("\n\n");
}

std::string framed_object(const json& object) { return framed(to_line(object)); }

std::string with_text(std::string_view type, std::string_view name, std::string_view text) {
  return framed_object(json{{"type", type}, {name, text}});
}

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000.0; }

} // namespace

std::string status_event(std::string_view message) { return with_text("status", "message", message); }

std::string stderr_event(std::string_view text) { return with_text("stderr", "text", text); }

std::string error_event(std::string_view text) { return with_text("error", "error", text); }

std::string event_text(const event& one) {
  if (const auto* plain = std::get_if<output>(&one))
    return with_text("output", "text", plain->text);
  return framed("{\"type\":\"agent-output\",\"data\":" + std::get<agent_output>(one).json + "}");
}

std::string heartbeat_event(std::chrono::milliseconds elapsed) {
  return framed_object(json{{"type", "heartbeat"}, {"elapsed", seconds(elapsed)}});
}

std::string files_update_event(const std::vector<changed_file>& files, std::uint64_t total) {
  auto shown_files = json::array();
  auto changes = json::array();
  for (const auto& one : files) {
    auto kind = one.created ? "created" : "modified";
    auto content = std::string_view(one.content).substr(0, most_content);
    shown_files.push_back(
        {{"path", one.path}, {"content", content}, {"changeType", kind}, {"change_type", kind}});
    changes.push_back({{"path", one.path}, {"changeType", kind}, {"change_type", kind}});
  }
  return framed_object(json{{"type", "files-update"},
                            {"files", std::move(shown_files)},
                            {"changes", std::move(changes)},
                            {"totalFiles", total},
                            {"total_files", total}});
}

completion completion_of(ending how, int exit_code, bool succeeded, std::chrono::milliseconds duration) {
  switch (how) {
  case ending::by_itself:
    return {exit_code, succeeded, false, duration};
  case ending::max_duration:
    return {124, false, false, duration};
  case ending::cancelled:
  case ending::server_stops:
    return {130, false, true, duration};
  case ending::sandbox_ended:
    return {137, false, false, duration};
  case ending::not_installed:
    return {127, false, false, duration};
  }
  return {exit_code, false, false, duration};
}

std::string complete_event(const completion& end) {
  return framed_object(json{{"type", "complete"},
                            {"exitCode", end.exit_code},
                            {"exit_code", end.exit_code},
                            {"success", end.success},
                            {"duration", seconds(end.duration)},
                            {"durationMs", end.duration.count()},
                            {"duration_ms", end.duration.count()},
                            {"cancelled", end.cancelled}});
}

} // namespace sandy::agents
