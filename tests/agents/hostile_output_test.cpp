#include "agents/reading.hpp"
#include "agents/wire.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <random>

using namespace sandy::agents;

namespace {

const std::array every_kind{dialect_kind::claude, dialect_kind::codex,   dialect_kind::opencode,
                            dialect_kind::gemini, dialect_kind::copilot, dialect_kind::pi,
                            dialect_kind::cline,  dialect_kind::droid,   dialect_kind::openhands,
                            dialect_kind::lines};

/// Whether an event can be sent: one line, then an empty one, of JSON that a strict parser reads.
bool is_sound(const std::string& bytes) {
  if (!bytes.starts_with("data: ") || !bytes.ends_with("\n\n"))
    return false;
  auto object = std::string_view(bytes).substr(6, bytes.size() - 8);
  return object.find_first_of("\r\n") == std::string_view::npos && json::accept(object) &&
         valid_utf8(object) == object;
}

std::string all_of(const std::vector<event>& events) {
  std::string joined;
  for (const auto& one : events)
    joined += event_text(one);
  return joined;
}

} // namespace

TEST_CASE("what is no object of JSON is text", "[agents][hostile]") {
  auto deep = std::string(100, '[');
  for (auto kind : every_kind)
    for (const std::string& line :
         {std::string("plain"), std::string("[1,2]"), std::string("\"text\""), std::string("{\"a\":"),
          std::string("{\"a\":1e999}"), "{\"a\":" + deep + std::string(100, ']') + "}",
          std::string("{\"a\":1}x"), std::string("{\"a\":1}\0{}", 10), std::string("{\"a\":\xFF")}) {
      reading read(kind, line);
      REQUIRE(read.events.size() == 1);
      CHECK(std::get<output>(read.events[0]).text == line);
      CHECK(is_sound(event_text(read.events[0])));
    }
}

TEST_CASE("an object of an unknown type is passed on as it is", "[agents][hostile]") {
  std::string line = R"({"type":"new.event","n":1})";
  for (auto kind : every_kind) {
    if (kind == dialect_kind::claude || kind == dialect_kind::lines)
      continue;
    reading read(kind, line);
    REQUIRE(read.events.size() == 1);
    CHECK(read.briefs[0] == "event");
    CHECK(read.object(0)["raw"] == json::parse(line));
    auto big = R"({"type":"new.event","text":")" + std::string(20000, 'x') + "\"}";
    CHECK(reading(kind, big).briefs == std::vector<std::string>{"output " + big});
  }
}

TEST_CASE("members of the wrong type are no reason to lose a line", "[agents][hostile]") {
  for (auto kind : every_kind)
    for (const char* line :
         {R"({"type":7})", R"({"type":"item.completed","item":[]})", R"({"type":"item.completed"})",
          R"({"type":"text","part":"x"})", R"({"type":"message","role":[],"content":{"a":1}})",
          R"({"type":"result","usage":5,"is_error":"yes","result":{"deep":[]},"errors":{"a":1}})",
          R"({"type":"tool_use","part":7,"parameters":"x","tool_name":null})",
          R"({"type":"step_finish","part":{"tokens":[],"cost":"free"}})",
          R"({"type":"turn.failed","error":"x"})", R"({"type":"error","error":[1],"message":{}})",
          R"({"type":"system","session_id":5})"}) {
      reading read(kind, line);
      CHECK_FALSE(read.events.empty());
      for (const auto& one : read.events)
        CHECK(is_sound(event_text(one)));
    }
}

TEST_CASE("bytes that are no UTF-8 and halves of surrogate pairs are replaced, not a reason to give up",
          "[agents][hostile]") {
  reading bad(dialect_kind::claude, "{\"type\":\"assistant\",\"x\":\"a\xFF"
                                    "b\"}");
  CHECK(std::get<agent_output>(bad.events.at(0)).json == "{\"type\":\"assistant\",\"x\":\"a\xEF\xBF\xBD"
                                                         "b\"}");
  reading half(dialect_kind::claude, R"({"x":"\ud83d!","y":"\uDE00","z":"\ud83d\ude00","w":"\\ud83d"})");
  CHECK(std::get<agent_output>(half.events.at(0)).json ==
        R"({"x":"\ufffd!","y":"\ufffd","z":"\ud83d\ude00","w":"\\ud83d"})");
}

TEST_CASE("white space around and inside an object does not break the stream's lines", "[agents][hostile]") {
  reading read(dialect_kind::claude, "\xEF\xBB\xBF {\"a\":\r1} \t\r\n\n \n");
  REQUIRE(read.events.size() == 1);
  CHECK(std::get<agent_output>(read.events[0]).json == "{\"a\": 1}");
}

TEST_CASE("real output that was damaged is read without an exception, and no line of it is lost",
          "[agents][hostile]") {
  // Fixed, so that a failure repeats.
  std::mt19937 random(20260701); // NOLINT
  auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::string bits[] = {"\"",
                              "{",
                              "}",
                              "[",
                              "]",
                              "\\",
                              ",",
                              ":",
                              "null",
                              "-1e400",
                              "\xC3",
                              "\\ud800",
                              "\r",
                              std::string(1, '\0'),
                              "99999999999999999999",
                              "true"};
  for (auto name : {"claude-code-ok.jsonl", "codex-ok.jsonl", "codex-500.jsonl", "opencode-ok.jsonl",
                    "opencode-401.jsonl", "gemini-ok.jsonl", "gemini-401.jsonl", "copilot-401.jsonl",
                    "pi-401.jsonl", "cline-ok.jsonl", "cline-401.jsonl", "droid-ok.jsonl", "droid-401.jsonl",
                    "openhands-ok.txt", "openhands-401.txt", "aider-ok.txt"})
    for (auto kind : every_kind)
      for (auto round = 0; round < 60; ++round) {
        auto text = recorded(name);
        for (auto damage = below(8) + 1; damage > 0; --damage) {
          auto place = below(text.size());
          if (below(2))
            text.erase(place, below(20));
          else
            text.insert(place, bits[below(std::size(bits))]);
        }
        // The marker stands in no object, so nothing may take it for something that needs no saying.
        auto marker = "marker-" + std::to_string(round);
        text.insert(0, marker + " {\"type\":\n");
        reading read(kind);
        for (std::string_view rest = text; !rest.empty();) {
          auto part = rest.substr(0, below(300) + 1);
          read.take(read.reader.read(part));
          rest.remove_prefix(part.size());
        }
        read.take(read.reader.finish());
        auto sound = true;
        for (const auto& one : read.events)
          sound &= is_sound(event_text(one));
        REQUIRE(sound);
        REQUIRE(all_of(read.events).find(marker) != std::string::npos);
      }
}

TEST_CASE("text inside a damaged line is still in what is passed on", "[agents][hostile]") {
  std::mt19937 random(7); // NOLINT
  auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  auto kinds = {
      std::pair(dialect_kind::codex,
                R"({"type":"item.completed","item":{"id":"i","type":"agent_message","text":"T"}})"),
      std::pair(dialect_kind::opencode,
                R"({"type":"text","sessionID":"s","part":{"type":"text","text":"T"}})"),
      std::pair(dialect_kind::gemini, R"({"type":"message","role":"assistant","content":"T","delta":true})"),
      std::pair(dialect_kind::copilot, R"({"type":"assistant.message","data":{"content":"T"}})"),
      std::pair(
          dialect_kind::pi,
          R"({"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"T"}]}})"),
      std::pair(dialect_kind::cline,
                R"({"type":"agent_event","event":{"type":"content_end","contentType":"text","text":"T"}})"),
      std::pair(
          dialect_kind::openhands,
          R"({"source":"agent","llm_message":{"role":"assistant","content":[{"type":"text","text":"T"}]},"kind":"MessageEvent"})"),
      std::pair(dialect_kind::droid, R"({"type":"message","role":"assistant","text":"T"})"),
      std::pair(dialect_kind::claude,
                R"({"type":"assistant","message":{"content":[{"type":"text","text":"T"}]}})")};
  for (const auto& [kind, whole] : kinds)
    for (auto round = 0; round < 400; ++round) {
      std::string line = whole;
      auto text = line.find("\"T\"");
      // Anywhere but in the text itself.
      auto place = below(line.size() - 3);
      if (place >= text)
        place += 3;
      line.erase(place, 1);
      line.replace(line.find("T\""), 1, "precious");
      CAPTURE(line);
      CHECK(all_of(reading(kind, line).events).find("precious") != std::string::npos);
    }
}
