#include "agents/dialects/translator.hpp"
#include "agents/reading.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy::agents;

using texts = std::vector<std::string>;

namespace {

/// What an agent's recording means, without the parts of texts.
texts without_parts(texts briefs) {
  std::erase_if(briefs, [](const auto& one) { return one.starts_with("part "); });
  return briefs;
}

std::string parts_of(const texts& briefs) {
  std::string joined;
  for (const auto& one : briefs)
    if (one.starts_with("part "))
      joined += one.substr(5);
  return joined;
}

} // namespace

TEST_CASE("claude's objects pass through as they were printed", "[agents][claude]") {
  auto text = recorded("claude-code-ok.jsonl");
  reading read(dialect_kind::claude, text);
  std::string again;
  for (const auto& one : read.events)
    again += std::get<agent_output>(one).json + "\n";
  CHECK(again == text);
  CHECK(read.said().ending() == terminal::success);
  CHECK(read.said().succeeded(0));
  CHECK_FALSE(read.said().succeeded(1));
  CHECK(read.said().session_id() == "98e1d3cf-7efc-4446-8326-0efb848e2d05");
  CHECK(read.said().answer() == "The work is done.");
  CHECK(read.said().used() == usage{200, 40, 0, 0, 0.002});
}

TEST_CASE("a result of claude that is an error is a failure, though its subtype is success",
          "[agents][claude]") {
  reading read(dialect_kind::claude, recorded("claude-code-401.jsonl"));
  CHECK(read.said().ending() == terminal::failure);
  CHECK(read.said().failure() == "Failed to authenticate. API Error: 401 The key is not valid.");
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("qwen prints what claude prints", "[agents][claude]") {
  reading good(dialect_kind::claude, recorded("qwen-ok.jsonl"));
  CHECK(good.said().ending() == terminal::success);
  CHECK(good.said().session_id() == "0b3e40a9-fb62-4e9a-9c56-dff147388c45");
  reading bad(dialect_kind::claude, recorded("qwen-401.jsonl"));
  CHECK(bad.said().ending() == terminal::failure);
  CHECK(bad.said().failure() == "[API Error: 401 The key is not valid.]");
}

TEST_CASE("codex is said again in claude's words", "[agents][codex]") {
  reading read(dialect_kind::codex, recorded("codex-ok.jsonl"));
  REQUIRE(read.briefs.size() == 7);
  CHECK(read.briefs[0] == "init");
  CHECK(read.briefs[1].starts_with("notice Model metadata for `zai-org/stand-in` not found."));
  CHECK(texts(read.briefs.begin() + 2, read.briefs.end()) ==
        texts{"text I will write the file now.", "tool Bash echo 'written by an agent' > result.txt", "done ",
              "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK(read.said().session_id() == "01a1fe63-37ad-7602-a28b-60e745a802d0");
  CHECK(read.said().used() == usage{200, 40, 0, 0, {}});
  auto result = read.object(6);
  CHECK(result["subtype"] == "success");
  CHECK(result["usage"]["input_tokens"] == 200);
  CHECK(result["session_id"] == "01a1fe63-37ad-7602-a28b-60e745a802d0");
  CHECK(result["raw"]["type"] == "turn.completed");
}

TEST_CASE("codex that loses its model says so and fails once, at the end", "[agents][codex]") {
  reading read(dialect_kind::codex, recorded("codex-500.jsonl"));
  auto why = "We’re currently experiencing high demand, which may cause temporary errors.";
  CHECK(texts(read.briefs.begin() + 2, read.briefs.end()) ==
        texts{std::string("api_retry Reconnecting... 1/2 (") + why + ")",
              std::string("api_retry Reconnecting... 2/2 (") + why + ")", std::string("error ") + why,
              std::string("failed ") + why});
  CHECK(read.said().failure() == why);
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("codex's other items are uses of tools", "[agents][codex]") {
  reading read(
      dialect_kind::codex,
      R"({"type":"item.completed","item":{"id":"a","type":"file_change","status":"completed",)"
      R"("changes":[{"path":"/workspace/n.txt","kind":"add"},{"path":"o.txt","kind":"update"}]}})"
      "\n"
      R"({"type":"item.completed","item":{"id":"b","type":"mcp_tool_call","server":"s","tool":"t",)"
      R"("arguments":{"x":1},"error":{"message":"no"},"status":"failed"}})"
      "\n"
      R"({"type":"item.completed","item":{"id":"c","type":"reasoning","text":"hm"}})"
      "\n"
      R"({"type":"item.started","item":{"id":"d","type":"command_execution","command":"bash -lc \"echo $A\""}})");
  CHECK(read.briefs == texts{"tool Write /workspace/n.txt", "tool Edit o.txt", "done completed",
                             "tool mcp__s__t ", "refused no", "thinking hm",
                             "tool Bash bash -lc \"echo $A\""});
}

TEST_CASE("opencode is said again in claude's words", "[agents][opencode]") {
  reading read(dialect_kind::opencode, recorded("opencode-ok.jsonl"));
  CHECK(read.briefs == texts{"init", "text I will write the file now.",
                             "tool Bash echo 'written by an agent' > result.txt", "done (no output)",
                             "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK(read.said().session_id() == "ses_e019c8951ffeBLdBhmmvUHyGyL");
  CHECK(read.said().used() == usage{200, 40, 0, 0, 0.0});
}

TEST_CASE("an error of opencode is a failure", "[agents][opencode]") {
  reading read(dialect_kind::opencode, recorded("opencode-401.jsonl"));
  CHECK(read.briefs == texts{"init", "error The key is not valid.", "failed The key is not valid."});
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("an agent that goes on after an error can still succeed", "[agents][opencode]") {
  auto text = recorded("opencode-401.jsonl") + recorded("opencode-ok.jsonl");
  reading read(dialect_kind::opencode, text);
  CHECK(read.briefs.back() == "result The work is done.");
  CHECK(std::count_if(read.briefs.begin(), read.briefs.end(),
                      [](const auto& one) { return one.starts_with("failed"); }) == 0);
  CHECK(read.said().succeeded(0));
  CHECK(read.said().failure().empty());
}

TEST_CASE("gemini's parts are passed on at once, and said as a whole when they end", "[agents][gemini]") {
  reading read(dialect_kind::gemini, recorded("gemini-ok.jsonl"));
  CHECK(parts_of(read.briefs) == "I will write the file now.The work is done.");
  CHECK(without_parts(read.briefs) == texts{"init", "text I will write the file now.",
                                            "tool Bash echo 'written by an agent' > result.txt", "done ",
                                            "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK(read.said().used() == usage{200, 40, 0, 0, {}});
  CHECK(read.object(0)["model"] == "zai-org/stand-in");
}

TEST_CASE("gemini says why it failed", "[agents][gemini]") {
  reading read(dialect_kind::gemini, recorded("gemini-401.jsonl"));
  REQUIRE(read.briefs.size() == 2);
  CHECK(read.briefs[1].starts_with("failed [API Error: "));
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("pi's parts are passed on at once, and a text is said once", "[agents][pi]") {
  reading read(dialect_kind::pi, recorded("pi-ok.jsonl"));
  CHECK(parts_of(read.briefs) == "I will write the file now.The work is done.");
  CHECK(without_parts(read.briefs) ==
        texts{"init", "text I will write the file now.", "tool Bash echo 'written by an agent' > result.txt",
              "done (no output)", "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK_FALSE(read.said().session_id().empty());
  CHECK(read.said().used() == usage{200, 40, 0, 0, {}});
}

TEST_CASE("pi that fails exits with 0, and is not believed", "[agents][pi]") {
  reading read(dialect_kind::pi, recorded("pi-401.jsonl"));
  CHECK(read.briefs == texts{"init", "failed 401 The key is not valid."});
  CHECK_FALSE(read.said().succeeded(0));
  auto again = R"({"type":"auto_retry_start","errorMessage":"once more"})"
               "\n";
  reading better(dialect_kind::pi, recorded("pi-401.jsonl") + again + recorded("pi-ok.jsonl"));
  CHECK(without_parts(better.briefs)[1] == "api_retry once more");
  CHECK(better.briefs.back() == "result The work is done.");
  CHECK(better.said().succeeded(0));
}

TEST_CASE("copilot is said again in claude's words, without its noise", "[agents][copilot]") {
  reading read(dialect_kind::copilot, recorded("copilot-ok.jsonl"));
  CHECK(parts_of(read.briefs) == "I will write the file now.The work is done.");
  CHECK(without_parts(read.briefs) == texts{"init", "text I will write the file now.",
                                            "tool Bash echo 'written by an agent' > result.txt",
                                            "done \n<shellId: 0 completed with exit code 0>",
                                            "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK_FALSE(read.said().session_id().empty());
}

TEST_CASE("copilot's failure is what its session said, not its exit code", "[agents][copilot]") {
  reading read(dialect_kind::copilot, recorded("copilot-401.jsonl"));
  CHECK(read.said().failure().starts_with("Authentication failed with provider"));
  CHECK(read.briefs.back() == "failed " + read.said().failure());
  CHECK(read.briefs[read.briefs.size() - 2] == "error " + read.said().failure());
  reading short_one(dialect_kind::copilot, R"({"type":"result","sessionId":"s","exitCode":3})");
  CHECK(short_one.said().failure() == "the agent ended with exit code 3");
}

TEST_CASE("cline is said again in claude's words", "[agents][cline]") {
  reading read(dialect_kind::cline, recorded("cline-ok.jsonl"));
  CHECK(parts_of(read.briefs) == "I will write the file now.The work is done.");
  auto said = without_parts(read.briefs);
  REQUIRE(said.size() == 6);
  CHECK(said[0] == "init");
  CHECK(said[1] == "text I will write the file now.");
  CHECK(said[2] == "tool Bash echo 'written by an agent' > result.txt");
  CHECK(said[3].starts_with("done [{"));
  CHECK(said[4] == "text The work is done.");
  CHECK(said[5] == "result The work is done.");
  CHECK(read.said().succeeded(0));
  CHECK(read.said().used() == usage{200, 40, 0, 0, 0.0});
}

TEST_CASE("cline says why it failed", "[agents][cline]") {
  reading read(dialect_kind::cline, recorded("cline-401.jsonl"));
  CHECK(read.briefs == texts{"init", "error The key is not valid.", "failed The key is not valid."});
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("droid is said again in claude's words", "[agents][droid]") {
  reading read(dialect_kind::droid, recorded("droid-ok.jsonl"));
  CHECK(read.briefs == texts{"init", "text I will write the file now.",
                             "tool Bash echo 'written by an agent' > result.txt",
                             "done Command completed successfully\n\n[Process exited with code 0]",
                             "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK(read.said().used() == usage{200, 40, 0, 0, {}});
}

TEST_CASE("droid's first error is why it failed", "[agents][droid]") {
  reading read(dialect_kind::droid, recorded("droid-401.jsonl"));
  CHECK(read.briefs == texts{"init", "error 401 The key is not valid.", "error Exec failed",
                             "failed 401 The key is not valid."});
  CHECK_FALSE(read.said().succeeded(0));
}

TEST_CASE("openhands is said again in claude's words, without its summary", "[agents][openhands]") {
  reading read(dialect_kind::openhands, recorded("openhands-ok.txt"));
  auto first = std::find(read.briefs.begin(), read.briefs.end(), "init");
  CHECK(std::all_of(read.briefs.begin(), first, [](const auto& one) { return one.starts_with("output "); }));
  CHECK(texts(first, read.briefs.end()) == texts{"init", "text I will write the file now.",
                                                 "tool Bash echo 'written by an agent' > result.txt", "done ",
                                                 "text The work is done.", "result The work is done."});
  CHECK(read.said().succeeded(0));
  CHECK(read.said().session_id().size() == 32);
}

TEST_CASE("openhands that fails exits with 0, and is not believed", "[agents][openhands]") {
  reading read(dialect_kind::openhands, recorded("openhands-401.txt"));
  std::string why =
      "litellm.AuthenticationError: AuthenticationError: OpenAIException - The key is not valid.";
  CHECK(read.said().failure() == why);
  CHECK_FALSE(read.said().succeeded(0));
  CHECK(texts(read.briefs.end() - 2, read.briefs.end()) == texts{"error " + why, "failed " + why});
  CHECK(read.said().session_id() == "0a70c896c274478d8bc824c2d14d0fe7");
}

TEST_CASE("openhands' last tool is its answer", "[agents][openhands]") {
  reading read(dialect_kind::openhands,
               R"({"kind":"ActionEvent","tool_name":"think","thought":[],"action":{"thought":"hm"}})"
               "\n"
               R"({"kind":"AgentErrorEvent","tool_call_id":"c","error":"no such tool"})"
               "\n"
               R"({"kind":"ActionEvent","tool_name":"file_editor","action":{"command":"create","path":"/a"}})"
               "\n"
               R"({"kind":"ActionEvent","tool_name":"finish","action":{"message":"All done."}})"
               "\nAgent finished\n");
  CHECK(read.briefs == texts{"thinking hm", "refused no such tool", "tool Write create", "text All done.",
                             "result All done."});
}

TEST_CASE("a stream that breaks off has no good ending", "[agents]") {
  reading cut(dialect_kind::gemini, recorded("gemini-cut.jsonl"));
  CHECK(without_parts(cut.briefs) ==
        texts{"init", "text I will write the file ", "failed [API Error: terminated]"});
  reading shorter(dialect_kind::opencode, recorded("opencode-cut.jsonl"));
  CHECK(shorter.briefs == texts{"init"});
  CHECK(shorter.said().ending() == terminal::none);
  CHECK_FALSE(shorter.said().succeeded(0));
  auto text = recorded("gemini-ok.jsonl");
  reading killed(dialect_kind::gemini, text.substr(0, text.find("\"now.\"") - 20));
  CHECK(killed.said().ending() == terminal::none);
  CHECK(killed.briefs.back().starts_with("text I will write"));
}

TEST_CASE("a program for people is passed on line by line and believed its exit code", "[agents][lines]") {
  reading read(dialect_kind::lines, recorded("aider-ok.txt"));
  std::string again;
  for (const auto& one : read.events)
    again += std::get<output>(one).text + "\n";
  CHECK(again == recorded("aider-ok.txt"));
  CHECK(read.said().succeeded(0));
  CHECK_FALSE(read.said().succeeded(1));
}

TEST_CASE("a definition can name the lines that tell a failure", "[agents][lines]") {
  auto agent = speaking(dialect_kind::lines);
  agent.lines = {{"litellm."}, {"Tokens: "}};
  auto read = make_dialect(agent);
  std::vector<event> events;
  read->read("half a sen litellm.InternalServerError: The model failed.", events);
  CHECK_FALSE(read->succeeded(0));
  CHECK(read->failure() == "half a sen litellm.InternalServerError: The model failed.");
  read->read("Retrying in 0.2 seconds...", events);
  CHECK_FALSE(read->succeeded(0));
  read->read("Tokens: 596 sent, 12 received.", events);
  CHECK(read->succeeded(0));
  CHECK(events.size() == 3);
}

TEST_CASE("a translated object carries the line it came from, once, unless that is long", "[agents]") {
  std::string line =
      R"({"timestamp":12345678901234567890123,"type":"text","part":{"text":"hi"},"sessionID":"s"})";
  reading read(dialect_kind::opencode, line);
  REQUIRE(read.events.size() == 2);
  CHECK(std::get<agent_output>(read.events[0]).json.ends_with("\"raw\":" + line + "}"));
  CHECK_FALSE(read.object(1).contains("raw"));
  auto long_text = std::string(translator::longest_raw, 'x');
  reading longer(dialect_kind::opencode, R"({"type":"text","part":{"text":")" + long_text + "\"}}");
  CHECK(longer.briefs == texts{"init", "text " + long_text});
  CHECK_FALSE(longer.object(0).contains("raw"));
}

TEST_CASE("tools get the names and members that clients look for", "[agents]") {
  auto tool = [](const std::string& name, const std::string& input) {
    reading read(dialect_kind::gemini, R"({"type":"tool_use","tool_id":"1","tool_name":")" + name +
                                           R"(","parameters":)" + input + "}");
    auto block = read.object(0)["message"]["content"][0];
    return std::pair(block["name"].get<std::string>(), to_line(block["input"]));
  };
  using pair = std::pair<std::string, std::string>;
  CHECK(tool("write_file", R"({"path":"a","content":"b"})") ==
        pair("Write", R"({"path":"a","content":"b","file_path":"a"})"));
  CHECK(tool("run_commands", R"({"commands":["ls","pwd"]})") ==
        pair("Bash", R"({"commands":["ls","pwd"],"command":"ls pwd"})"));
  CHECK(tool("search_file_content", R"({"query":"x"})") == pair("Grep", R"({"query":"x","pattern":"x"})"));
  CHECK(tool("Read", R"({"filePath":"a","file_path":"b"})") ==
        pair("Read", R"({"filePath":"a","file_path":"b"})"));
  CHECK(tool("their_own", R"([1])") == pair("their_own", R"({"input":[1]})"));
  CHECK(tool("their_own", "null") == pair("their_own", "{}"));
}
