#include "app/logging.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace sandy;

TEST_CASE("a JSON line starts with time and level and goes on with the event", "[logging]") {
  CHECK(format_line(log_format::json, 1'768'903'200'007, "info", R"({"event":"ready","n":1})") ==
        R"({"ts":"2026-01-20T10:00:00.007+00:00","level":"info","event":"ready","n":1})"
        "\n");
  CHECK(format_line(log_format::json, 0, "warn", "{}") ==
        "{\"ts\":\"1970-01-01T00:00:00.000+00:00\",\"level\":\"warn\"}\n");
}

TEST_CASE("a line that is no JSON object becomes one", "[logging]") {
  auto line = format_line(log_format::json, 0, "error", "plain \"text\"\nin two lines");
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  auto parsed = nlohmann::json::parse(line);
  CHECK(parsed["event"] == "message");
  CHECK(parsed["msg"] == "plain \"text\"\nin two lines");
}

TEST_CASE("a text line is for people", "[logging]") {
  CHECK(format_line(log_format::text, 1'768'903'200'007, "info",
                    R"({"event":"sandbox_ready","id":"ab","why":"two words","n":1,"empty":"","ok":true})") ==
        "2026-01-20T10:00:00.007+00:00 info sandbox_ready id=ab why=\"two words\" n=1 empty=\"\" ok=true\n");
  auto odd = format_line(log_format::text, 0, "info", R"({"event":"x","text":"a\nb"})");
  CHECK(odd == "1970-01-01T00:00:00.000+00:00 info x text=\"a\\nb\"\n");
}
