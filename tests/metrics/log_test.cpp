#include "metrics/log.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <limits>
#include <memory>
#include <sstream>
#include <string>

using namespace sandy;

namespace {

/// Catches what is logged while it lives.
class captured_log {
public:
  captured_log()
      : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(out_));
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::info);
    spdlog::set_default_logger(logger);
  }
  ~captured_log() { spdlog::set_default_logger(before_); }
  std::string text() const { return out_.str(); }

private:
  std::ostringstream out_;
  std::shared_ptr<spdlog::logger> before_;
};

} // namespace

TEST_CASE("an event is one JSON object with its fields in order and in their types", "[log]") {
  captured_log log;
  log_event(log_level::info, "sandbox_ready",
            {{"sandbox_id", "ab12"},
             {"tenant", std::string("acme")},
             {"duration_ms", 21},
             {"bytes", 18446744073709551615ull},
             {"ratio", 0.25},
             {"broken", std::numeric_limits<double>::quiet_NaN()},
             {"warm", true},
             {"delta", -3}});
  CHECK(log.text() == R"({"event":"sandbox_ready","sandbox_id":"ab12","tenant":"acme","duration_ms":21,)"
                      R"("bytes":18446744073709551615,"ratio":0.25,"broken":null,"warm":true,"delta":-3})"
                      "\n");
}

TEST_CASE("any bytes stay one line of valid JSON", "[log]") {
  for (const std::string& bytes :
       {std::string("line\nbreak\r\t\"quoted\" back\\slash"), std::string("nul\0inside", 10),
        std::string("\x01\x1f\x7f"), std::string("caf\xc3\xa9 \xf0\x9f\x90\x8d"),
        std::string("broken \xff\xc3(\xf0\x9f"), std::string()}) {
    captured_log log;
    log_event(log_level::warn, "odd", {{"text", bytes}});
    auto line = log.text();
    REQUIRE(std::count(line.begin(), line.end(), '\n') == 1);
    auto parsed = nlohmann::json::parse(line);
    if (bytes.find('\xff') == std::string::npos)
      CHECK(parsed["text"].get<std::string>() == bytes);
    else
      CHECK(parsed["text"].get<std::string>().find("\xef\xbf\xbd") != std::string::npos);
  }
}

TEST_CASE("lines below the level are not written", "[log]") {
  captured_log log;
  CHECK_FALSE(log_enabled(log_level::debug));
  CHECK(log_enabled(log_level::info));
  log_event(log_level::debug, "quiet");
  CHECK(log.text().empty());
}
