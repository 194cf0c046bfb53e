#include "agents/wire.hpp"

#include <catch2/catch.hpp>

using namespace sandy::agents;
using namespace std::chrono_literals;

TEST_CASE("events are lines of data, to the byte", "[agents][wire]") {
  CHECK(status_event("Starting Claude Code...") ==
        "data: {\"type\":\"status\",\"message\":\"Starting Claude Code...\"}\n\n");
  CHECK(stderr_event("a\nb") == "data: {\"type\":\"stderr\",\"text\":\"a\\nb\"}\n\n");
  CHECK(error_event("sandbox terminated") ==
        "data: {\"type\":\"error\",\"error\":\"sandbox terminated\"}\n\n");
  CHECK(event_text(output{"hi \"you\""}) == "data: {\"type\":\"output\",\"text\":\"hi \\\"you\\\"\"}\n\n");
  CHECK(event_text(agent_output{R"({"b":1,"a":2})"}) ==
        "data: {\"type\":\"agent-output\",\"data\":{\"b\":1,\"a\":2}}\n\n");
  CHECK(heartbeat_event(5s) == "data: {\"type\":\"heartbeat\",\"elapsed\":5.0}\n\n");
}

TEST_CASE("whatever a text holds, an event is one line of valid UTF-8", "[agents][wire]") {
  CHECK(event_text(output{"\xFF\r\n\x1b[1m\xC3"}) ==
        "data: {\"type\":\"output\",\"text\":\"\xEF\xBF\xBD\\r\\n\\u001b[1m\xEF\xBF\xBD\"}\n\n");
  CHECK(status_event(std::string_view("\0", 1)) == "data: {\"type\":\"status\",\"message\":\"\\u0000\"}\n\n");
}

TEST_CASE("files come with the beginning of their content", "[agents][wire]") {
  auto text = files_update_event({{"src/a.js", "let a", true}, {"b", std::string(20000, 'x'), false}}, 7);
  CHECK(
      text ==
      "data: {\"type\":\"files-update\",\"files\":["
      "{\"path\":\"src/a.js\",\"content\":\"let a\",\"changeType\":\"created\",\"change_type\":\"created\"},"
      "{\"path\":\"b\",\"content\":\"" +
          std::string(10240, 'x') +
          "\",\"changeType\":\"modified\",\"change_type\":\"modified\"}],"
          "\"changes\":[{\"path\":\"src/a.js\",\"changeType\":\"created\",\"change_type\":\"created\"},"
          "{\"path\":\"b\",\"changeType\":\"modified\",\"change_type\":\"modified\"}],"
          "\"totalFiles\":7,\"total_files\":7}\n\n");
}

TEST_CASE("each end of a run is told as the contract says", "[agents][wire]") {
  auto told = [](ending how, int code, bool succeeded) {
    auto end = completion_of(how, code, succeeded, 1500ms);
    return complete_event(end);
  };
  auto expected = [](int code, bool success, bool cancelled) {
    auto number = std::to_string(code);
    return "data: {\"type\":\"complete\",\"exitCode\":" + number + ",\"exit_code\":" + number +
           ",\"success\":" + (success ? "true" : "false") +
           ",\"duration\":1.5,\"durationMs\":1500,\"duration_ms\":1500,\"cancelled\":" +
           (cancelled ? "true" : "false") + "}\n\n";
  };
  CHECK(told(ending::by_itself, 0, true) == expected(0, true, false));
  CHECK(told(ending::by_itself, 0, false) == expected(0, false, false));
  CHECK(told(ending::by_itself, 3, false) == expected(3, false, false));
  CHECK(told(ending::max_duration, 0, true) == expected(124, false, false));
  CHECK(told(ending::cancelled, 0, true) == expected(130, false, true));
  CHECK(told(ending::sandbox_ended, 0, true) == expected(137, false, false));
  CHECK(told(ending::not_installed, 0, true) == expected(127, false, false));
}
