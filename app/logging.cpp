#include "app/logging.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <memory>

namespace sandy {

namespace {

std::string_view level_name(spdlog::level::level_enum level) {
  switch (level) {
  case spdlog::level::trace:
    return "trace";
  case spdlog::level::debug:
    return "debug";
  case spdlog::level::info:
    return "info";
  case spdlog::level::warn:
    return "warn";
  default:
    return "error";
  }
}

/// ISO 8601 with milliseconds and an explicit offset, as everywhere in the API.
std::string timestamp(std::int64_t unix_millis) {
  auto seconds = static_cast<std::time_t>(unix_millis / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  auto length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03d+00:00",
                static_cast<int>(unix_millis % 1000));
  return text.data();
}

/// `key=value key="two words"`, with the event first and unadorned.
std::string as_text(std::string_view payload) {
  auto fields = nlohmann::ordered_json::parse(payload, nullptr, false);
  if (!fields.is_object())
    return std::string(payload);
  std::string text;
  for (const auto& [key, value] : fields.items()) {
    auto printed = value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    bool bare = value.is_string() && printed.size() > 2 && printed.find_first_of(" =\\") == std::string::npos;
    if (bare)
      printed = printed.substr(1, printed.size() - 2);
    text += text.empty() ? "" : " ";
    text += key == "event" ? printed : key + "=" + printed;
  }
  return text;
}

class line_formatter final : public spdlog::formatter {
public:
  explicit line_formatter(log_format format)
      : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& into) override {
    using namespace std::chrono;
    auto time = duration_cast<milliseconds>(message.time.time_since_epoch()).count();
    auto line = format_line(format_, time, level_name(message.level),
                            {message.payload.data(), message.payload.size()});
    into.append(line.data(), line.data() + line.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<line_formatter>(format_);
  }

private:
  log_format format_;
};

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
  case log_level::trace:
    return spdlog::level::trace;
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warn:
    return spdlog::level::warn;
  case log_level::error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

} // namespace

std::string format_line(log_format format, std::int64_t time, std::string_view level,
                        std::string_view payload) {
  bool object = payload.size() >= 2 && payload.front() == '{' && payload.back() == '}';
  std::string line;
  line.reserve(payload.size() + 64);
  if (format == log_format::text) {
    line += timestamp(time);
    line += ' ';
    line += level;
    line += ' ';
    line += object ? as_text(payload) : "message msg=" + json_quoted(payload);
  } else {
    line += R"({"ts":")";
    line += timestamp(time);
    line += R"(","level":")";
    line += level;
    line += '"';
    if (object) {
      if (payload.size() > 2)
        line += ',';
      line += payload.substr(1);
    } else {
      line += R"(,"event":"message","msg":)";
      line += json_quoted(payload);
      line += '}';
    }
  }
  line += '\n';
  return line;
}

void start_logging(log_level level, log_format format) {
  auto logger = std::make_shared<spdlog::logger>("sandy", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<line_formatter>(format));
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::trace);
  // Where the log cannot be written there is nowhere to complain.
  logger->set_error_handler([](const std::string&) {});
  spdlog::set_default_logger(std::move(logger));
}

} // namespace sandy
