#pragma once

#include "agents/event.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The events of an agent's run as the bytes that clients get: one line `data: {...}` and an empty one, LF
/// only, valid UTF-8 whatever went in. Clients parse by hand, so the space after the colon is part of it.
namespace sandy::agents {

/// Lifecycle text for people.
std::string status_event(std::string_view message);

/// A line of the agent's standard error.
std::string stderr_event(std::string_view text);

/// What a dialect read: `agent-output` or `output`.
std::string event_text(const event& one);

/// Says that the run still goes on. @param elapsed since its start.
std::string heartbeat_event(std::chrono::milliseconds elapsed);

/// A file of the workspace that the run made or changed.
struct changed_file {
  std::string path; ///< relative to the workspace
  std::string content;
  bool created; ///< false: it was there before
};

/// Most bytes of a file's content that are sent; at exactly that length clients show the file as cut off.
inline constexpr std::size_t most_content = 10240;

/// The files that changed since the last such event, contents cut to `most_content`.
/// @param total how many files changed since the run's start. Not to be sent when nothing changed: `files`
/// would be empty.
std::string files_update_event(const std::vector<changed_file>& files, std::uint64_t total);

/// Something went wrong; `complete` still follows. A client repeats the whole run when the text names a
/// timeout, so one that ended at its `maxDuration` is told by a status, never by this.
std::string error_event(std::string_view text);

/// Why a run ended.
enum class ending {
  by_itself,     ///< its program ended
  max_duration,  ///< it took all the time it was given
  cancelled,     ///< a caller ended it
  server_stops,  ///< the server did, and does not let agents work that nobody reads
  sandbox_ended, ///< its sandbox was terminated or preempted
  not_installed, ///< the sandbox has no such program
};

/// The end of a run, as told by the last event and kept in its history.
struct completion {
  int exit_code = 0;
  bool success = false;
  bool cancelled = false;
  std::chrono::milliseconds duration{};
};

/// How a run is to be reported that ended so. @param exit_code of its program, or 128 and the signal that
/// ended it.
/// @param succeeded `dialect::succeeded` of that. Both count only for a run that ended by itself.
completion completion_of(ending how, int exit_code, bool succeeded, std::chrono::milliseconds duration);

/// The last event of every stream.
std::string complete_event(const completion& end);

} // namespace sandy::agents
