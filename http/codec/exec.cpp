#include "http/codec/exec.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <utility>

namespace sandy::http::codec {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// 24 days: what fits the timers; nobody means more.
constexpr double timeout_max_ms = 2'147'483'647.0;

constexpr std::pair<std::string_view, int> signals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT}, {"STOP", SIGSTOP},   {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU}, {"URG", SIGURG},   {"WINCH", SIGWINCH}, {"PROF", SIGPROF},
};

/// The timeout asked for: the milliseconds field wins, and `timeout` is never read as milliseconds.
std::optional<milliseconds> read_timeout(field_reader& fields) {
  auto ms = fields.number({"timeoutMs", "timeout_ms"});
  if (!ms) {
    ms = fields.number({"timeout"});
    if (ms)
      *ms *= 1000;
  }
  if (!ms || !(*ms > 0))
    return std::nullopt; // zero and negative mean the default
  return milliseconds{static_cast<std::int64_t>(std::ceil(std::min(*ms, timeout_max_ms)))};
}

} // namespace

result<exec_request> parse_exec(const json& body, milliseconds standard) {
  exec_request request;
  auto& spec = request.spec;
  field_reader fields{body};
  auto command = fields.text({"command"});
  if (!command)
    fields.missing("command");
  else if (command->find('\0') != std::string::npos)
    fields.refuse(errc::invalid_argument, "command must not contain a NUL character");
  else
    spec.script = std::move(*command);
  spec.cwd = fields.path({"cwd", "working_directory", "workingDirectory", "workdir"}).value_or("");
  spec.env = fields.env({"env", "envVars", "env_vars"});
  auto timeout = read_timeout(fields);
  auto stream = fields.boolean({"stream"}).value_or(false);
  auto background = fields.boolean({"background"}).value_or(false);
  spec.open_stdin = fields.boolean({"stdin", "open_stdin", "openStdin"}).value_or(false);
  auto ring = fields.whole({"ring_bytes", "ringBytes"}, 0, 64 * 1024 * 1024).value_or(0);
  if (stream && background)
    fields.refuse(errc::invalid_argument,
                  "stream and background exclude each other: a background process has an output stream");
  if (spec.open_stdin && !background)
    fields.refuse(errc::invalid_argument,
                  "stdin needs background: only a background process can be written to");
  if (fields.failed())
    return fields.error();
  if (background) {
    request.form = exec_form::background;
    spec.ring_bytes = static_cast<std::uint64_t>(ring);
    spec.timeout = timeout.value_or(milliseconds{0});
  } else {
    request.form = stream ? exec_form::stream : exec_form::whole;
    spec.timeout = timeout.value_or(standard);
  }
  return request;
}

json exit_json(const process_exit& exit) {
  return {{"exitCode", exit.exit_code},
          {"exit_code", exit.exit_code},
          {"signal", exit.signal != 0 ? json(exit.signal) : json()},
          {"timedOut", exit.timed_out},
          {"timed_out", exit.timed_out},
          {"durationMs", exit.duration_ms},
          {"duration_ms", exit.duration_ms},
          {"outputBytes", exit.output_bytes},
          {"output_bytes", exit.output_bytes}};
}

json exec_fields(const process_exit& exit, std::uint64_t stdout_cut, std::uint64_t stderr_cut) {
  auto body = exit_json(exit);
  body["truncated"] = stdout_cut + stderr_cut > 0;
  body["stdoutTruncatedBytes"] = stdout_cut;
  body["stdout_truncated_bytes"] = stdout_cut;
  body["stderrTruncatedBytes"] = stderr_cut;
  body["stderr_truncated_bytes"] = stderr_cut;
  return body;
}

json to_json(const process_info& info) {
  auto exited = info.status == process_status::exited;
  json body = exited ? exit_json(info.exit)
                     : json{{"exitCode", nullptr},   {"exit_code", nullptr}, {"signal", nullptr},
                            {"timedOut", false},     {"timed_out", false},   {"durationMs", nullptr},
                            {"duration_ms", nullptr}};
  body["pid"] = info.process_id;
  body["processId"] = info.process_id;
  body["process_id"] = info.process_id;
  body["command"] = repair_utf8(info.command);
  body["status"] = exited ? "exited" : "running";
  body["startedAt"] = body["started_at"] = iso_time(info.started_at);
  body["outputBytes"] = body["output_bytes"] = info.output_bytes;
  body["outputStart"] = body["output_start"] = info.output_start;
  body["terminal"] = info.terminal.has_value();
  if (info.terminal) {
    body["cols"] = info.terminal->columns;
    body["rows"] = info.terminal->rows;
  }
  return body;
}

json to_json(const std::vector<process_info>& all) {
  auto list = json::array();
  for (const auto& info : all)
    list.push_back(to_json(info));
  return {{"total", list.size()}, {"processes", std::move(list)}};
}

result<signal_request> parse_signal(const json& body) {
  signal_request request;
  field_reader fields{body};
  request.tree = fields.boolean({"tree"}).value_or(true);
  auto* value = fields.find({"signal"});
  if (value == nullptr && !fields.failed())
    fields.missing("signal");
  if (fields.failed())
    return fields.error();
  if (!value->is_string() && !value->is_number())
    return fail(errc::validation_failed, "signal must be a name or a number");
  if (auto number = loose_number(*value)) {
    if (*number >= 1 && *number <= 64 && *number == std::floor(*number)) {
      request.signal = static_cast<int>(*number);
      return request;
    }
  } else {
    auto word = lower(trim(value->get_ref<const std::string&>()));
    if (word.starts_with("sig"))
      word.erase(0, 3);
    for (const auto& [name, signal] : signals)
      if (word == lower(name)) {
        request.signal = signal;
        return request;
      }
  }
  return fail(errc::invalid_argument, "signal must be a name such as \"TERM\" or a number from 1 to 64");
}

result<stdin_request> parse_stdin(const json& body) {
  stdin_request request;
  field_reader fields{body};
  request.close = fields.boolean({"close"}).value_or(false);
  request.bytes = fields.text({"data"}).value_or("");
  auto encoding = lower(fields.text({"encoding"}).value_or("utf-8"));
  if (fields.find({"data"}) == nullptr && !request.close)
    fields.missing("data");
  if (fields.failed())
    return fields.error();
  if (encoding == "base64") {
    auto decoded = base64_decode(request.bytes);
    if (!decoded)
      return fail(errc::invalid_argument, "data is not valid base64");
    request.bytes = std::move(*decoded);
  } else if (encoding != "utf-8" && encoding != "utf8" && encoding != "text") {
    return fail(errc::invalid_argument, "encoding must be utf-8 or base64");
  }
  return request;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || text.empty() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

} // namespace sandy::http::codec
