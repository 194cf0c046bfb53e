#pragma once

#include "messages/sandbox_io.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::codec {

/// The three forms of `POST .../exec`.
enum class exec_form : std::uint8_t { whole, stream, background };

struct exec_request {
  process_spec spec;
  exec_form form = exec_form::whole;
};

/// Reads the body of exec. @param standard the timeout of a command whose request names none; background
/// commands have none then. Fails with validation_failed or invalid_argument, naming the field.
result<exec_request> parse_exec(const nlohmann::json& body, std::chrono::milliseconds standard);

/// Output of one stream as far as it is kept.
struct kept_output {
  std::string bytes;
  std::uint64_t cut = 0; ///< bytes that came after the bound and were dropped
};

/// The fields of an exec answer beside `stdout` and `stderr`.
nlohmann::json exec_fields(const process_exit& exit, std::uint64_t stdout_cut, std::uint64_t stderr_cut);

/// The data of the last event of an output stream.
nlohmann::json exit_json(const process_exit& exit);

nlohmann::json to_json(const process_info& info);
nlohmann::json to_json(const std::vector<process_info>& all);

/// {"signal": "TERM" | "SIGTERM" | 15, "tree": bool}
struct signal_request {
  int signal = 15;
  bool tree = true;
};
result<signal_request> parse_signal(const nlohmann::json& body);

/// {"data", "encoding": "utf-8" | "base64", "close"}
struct stdin_request {
  std::string bytes;
  bool close = false;
};
result<stdin_request> parse_stdin(const nlohmann::json& body);

/// A process id or byte offset in a path or query; none for anything but decimal digits in range.
std::optional<std::uint64_t> parse_count(std::string_view text);

} // namespace sandy::http::codec
