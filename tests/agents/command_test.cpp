#include "agents/command.hpp"
#include "agents/prompt.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace sandy;
using namespace sandy::agents;

using texts = std::vector<std::string>;

namespace {

definition an_agent() {
  definition made;
  made.id = "x";
  made.name = "Agent X";
  made.program = "x";
  made.api = api_kind::anthropic;
  made.arguments = {"-p", "--model", "{model}"};
  made.resume = {"--resume", "{session_id}"};
  made.system_prompt = {"--system", "{system_prompt}"};
  made.system_prompt_path = {"--system-file", "{system_prompt_path}"};
  made.base_url = "https://default.test/";
  made.environment = {
      {"ANTHROPIC_BASE_URL", "{base_url}"}, {"ANTHROPIC_API_KEY", "{api_key}"}, {"MODE", "quiet"}};
  made.files = {{".x/settings.json", "{\"key\": {json:api_key}, \"dir\": {json:workspace}}"}};
  return made;
}

wanted a_run() {
  wanted made;
  made.model = "lab/model";
  made.prompt = "Do it.";
  made.home = "/home/x";
  made.workspace = "/workspace";
  made.api_key = "secret";
  return made;
}

rendered good(const definition& agent, const wanted& run) {
  auto made = render(agent, run);
  if (!made)
    FAIL(text_of(made.error()));
  return std::move(*made);
}

std::string refused(const definition& agent, const wanted& run) {
  auto made = render(agent, run);
  REQUIRE_FALSE(made);
  CHECK(code_of(made.error()) == errc::invalid_argument);
  return text_of(made.error());
}

} // namespace

TEST_CASE("a run has arguments, environment, files and the prompt on standard input", "[agents][command]") {
  auto made = good(an_agent(), a_run());
  CHECK(made.arguments == texts{"x", "-p", "--model", "lab/model"});
  CHECK(made.standard_input == "Do it.");
  CHECK(made.env == environment{{"ANTHROPIC_BASE_URL", "https://default.test"},
                                {"ANTHROPIC_API_KEY", "secret"},
                                {"MODE", "quiet"},
                                {"HOME", "/home/x"},
                                {"NO_COLOR", "1"},
                                {"TERM", "dumb"}});
  REQUIRE(made.files.size() == 1);
  CHECK(made.files[0].path == "/home/x/.x/settings.json");
  CHECK(made.files[0].content == R"({"key": "secret", "dir": "/workspace"})");
}

TEST_CASE("a base URL has a version for OpenAI's families and none for others", "[agents][command]") {
  for (std::string url : {"https://m.test", "https://m.test/", "https://m.test//", "https://m.test/v1",
                          "https://m.test/v1/", "https://m.test//v1//"}) {
    CHECK(normal_base_url(url, api_kind::anthropic) == "https://m.test");
    CHECK(normal_base_url(url, api_kind::gemini) == "https://m.test");
    CHECK(normal_base_url(url, api_kind::openai) == "https://m.test/v1");
    CHECK(normal_base_url(url, api_kind::responses) == "https://m.test/v1");
  }
  CHECK(normal_base_url("https://m.test/api/v1/v1", api_kind::openai) == "https://m.test/api/v1/v1");
  CHECK(normal_base_url("https://m.test/v1beta", api_kind::openai) == "https://m.test/v1beta/v1");
  CHECK(normal_base_url("", api_kind::openai).empty());
}

TEST_CASE("the base URL is the request's, else its environment's, else the platform's, else the agent's",
          "[agents][command]") {
  auto url = [](const wanted& run) { return good(an_agent(), run).env["ANTHROPIC_BASE_URL"]; };
  auto run = a_run();
  CHECK(url(run) == "https://default.test");
  run.platform_base_url = "https://platform.test/v1";
  CHECK(url(run) == "https://platform.test");
  run.env["ANTHROPIC_BASE_URL"] = "https://env.test/v1/";
  CHECK(url(run) == "https://env.test");
  run.base_url = "https://field.test/v1";
  CHECK(url(run) == "https://field.test");
  run.base_url.clear();
  run.env["ANTHROPIC_BASE_URL"] = "";
  CHECK(url(run) == "https://platform.test");
  CHECK(given_base_url("", {{"OPENAI_API_BASE", "b"}}, api_kind::openai) == "b");
  CHECK(given_base_url("", {{"OPENAI_API_BASE", "b"}, {"OPENAI_BASE_URL", "a"}}, api_kind::responses) == "a");
  CHECK(given_base_url("", {{"ANTHROPIC_BASE_URL", "a"}}, api_kind::openai).empty());
}

TEST_CASE("the key is the request's, else its family's, else the platform's", "[agents][command]") {
  environment env{{"ANTHROPIC_AUTH_TOKEN", "token"},
                  {"ANTHROPIC_API_KEY", "key"},
                  {"OPENAI_API_KEY", "open"},
                  {"GEMINI_API_KEY", "gem"},
                  {"CHUTES_API_KEY", "chutes"}};
  CHECK(given_api_key("field", env, api_kind::anthropic) == "field");
  CHECK(given_api_key("", env, api_kind::anthropic) == "token");
  CHECK(given_api_key("", env, api_kind::openai) == "open");
  CHECK(given_api_key("", env, api_kind::responses) == "open");
  CHECK(given_api_key("", env, api_kind::gemini) == "gem");
  CHECK(given_api_key("", {{"OPENAI_API_KEY", ""}, {"CHUTES_API_KEY", "chutes"}}, api_kind::openai) ==
        "chutes");
  auto run = a_run();
  run.api_key.clear();
  run.platform_api_key = "platform";
  CHECK(good(an_agent(), run).env["ANTHROPIC_API_KEY"] == "platform");
}

TEST_CASE("a caller's variables win over the agent's, but not over a URL or key of the same request",
          "[agents][command]") {
  auto run = a_run();
  run.env = {{"MODE", "loud"},
             {"ANTHROPIC_API_KEY", "other"},
             {"HOME", "/elsewhere"},
             {"NO_COLOR", "0"},
             {"MORE", "1"}};
  auto made = good(an_agent(), run);
  CHECK(made.env["MODE"] == "loud");
  CHECK(made.env["ANTHROPIC_API_KEY"] == "secret");
  CHECK(made.env["HOME"] == "/home/x");
  CHECK(made.env["NO_COLOR"] == "0");
  CHECK(made.env["MORE"] == "1");
  run.api_key.clear();
  CHECK(good(an_agent(), run).env["ANTHROPIC_API_KEY"] == "other");
}

TEST_CASE("what nobody gave is not set, so that the sandbox's own variable holds", "[agents][command]") {
  auto run = a_run();
  run.api_key.clear();
  auto agent = an_agent();
  agent.base_url.clear();
  auto made = good(agent, run);
  CHECK_FALSE(made.env.contains("ANTHROPIC_API_KEY"));
  CHECK_FALSE(made.env.contains("ANTHROPIC_BASE_URL"));
}

TEST_CASE("a router's model needs a base URL of the caller's", "[agents][command]") {
  auto run = a_run();
  run.model = "janus-router";
  run.platform_base_url = "https://platform.test";
  CHECK(refused(an_agent(), run) == "Model Auto Router requires a router API base URL.");
  run.env["ANTHROPIC_BASE_URL"] = "https://router.test";
  CHECK(good(an_agent(), run).arguments.back() == "janus-router");
}

TEST_CASE("a system prompt goes in once: inline before path before variable", "[agents][command]") {
  auto run = a_run();
  run.env["JANUS_SYSTEM_PROMPT_PATH"] = "/variable.md";
  auto flags = [&](const wanted& wish) {
    auto made = good(an_agent(), wish);
    CHECK_FALSE(made.env.contains("JANUS_SYSTEM_PROMPT_PATH"));
    return texts(made.arguments.begin() + 4, made.arguments.end());
  };
  CHECK(flags(run) == texts{"--system-file", "/variable.md"});
  run.system_prompt_path = "/field.md";
  CHECK(flags(run) == texts{"--system-file", "/field.md"});
  run.system_prompt = "Be brief.";
  CHECK(flags(run) == texts{"--system", "Be brief."});
}

TEST_CASE("a long system prompt becomes a file where the agent reads one", "[agents][command]") {
  auto run = a_run();
  run.system_prompt = std::string(200000, 's');
  auto made = good(an_agent(), run);
  CHECK(made.arguments.back() == "/home/x/.sandy/system-prompt.md");
  CHECK(made.files.front().content == run.system_prompt);
  auto agent = an_agent();
  agent.system_prompt_path.clear();
  CHECK(refused(agent, run) == "An argument is longer than 120 KiB, the most that Agent X can be given.");
}

TEST_CASE("an agent without a flag for it gets the system prompt before the prompt", "[agents][command]") {
  auto agent = an_agent();
  agent.system_prompt.clear();
  agent.system_prompt_path.clear();
  auto run = a_run();
  run.env["JANUS_SYSTEM_PROMPT_PATH"] = "/variable.md";
  CHECK(good(agent, run).env["JANUS_SYSTEM_PROMPT_PATH"] == "/variable.md");
  run.system_prompt = "Be brief.";
  CHECK(good(agent, run).standard_input == "Be brief.\n\nDo it.");
  run.system_prompt.clear();
  run.system_prompt_path = "/field.md";
  CHECK(system_prompt_to_read(agent, run) == "/field.md");
  CHECK(system_prompt_to_read(an_agent(), run).empty());
}

TEST_CASE("a session is resumed by flags or by another command", "[agents][command]") {
  auto run = a_run();
  run.session_id = "s-1";
  CHECK(good(an_agent(), run).arguments == texts{"x", "-p", "--model", "lab/model", "--resume", "s-1"});
  auto agent = an_agent();
  agent.resume.clear();
  CHECK(refused(agent, run) == "Agent X cannot resume a session.");
  agent.resume_arguments = texts{"resume", "{session_id}", "-"};
  CHECK(good(agent, run).arguments == texts{"x", "resume", "s-1", "-"});
  run.session_id.clear();
  CHECK(good(agent, run).arguments == texts{"x", "-p", "--model", "lab/model"});
}

TEST_CASE("a long prompt goes in by standard input and by file, and is refused as an argument",
          "[agents][command]") {
  auto run = a_run();
  run.prompt = std::string(1000000, 'p');
  CHECK(good(an_agent(), run).standard_input.size() == 1000000);
  auto agent = an_agent();
  agent.prompt = prompt_kind::file;
  agent.arguments = {"--message-file", "{prompt_path}"};
  auto made = good(agent, run);
  CHECK(made.arguments == texts{"x", "--message-file", "/home/x/.sandy/prompt.md"});
  CHECK(made.files.front().content == run.prompt);
  CHECK(made.standard_input.empty());
  agent.prompt = prompt_kind::argument;
  agent.arguments = {"-m", "{prompt}"};
  CHECK(refused(agent, run) == "The prompt is longer than 120 KiB, the most that Agent X can be given.");
  run.prompt = "Do {model}.";
  CHECK(good(agent, run).arguments == texts{"x", "-m", "Do {model}."});
}

TEST_CASE("what the kernel would refuse or cut is refused with a sentence", "[agents][command]") {
  auto run = a_run();
  run.model = std::string("a\0b", 3);
  CHECK(refused(an_agent(), run) == "A zero byte cannot be given to Agent X in an argument.");
  run = a_run();
  run.env["A"] = std::string("a\0b", 3);
  CHECK(refused(an_agent(), run) == "The variable A has a zero byte in it.");
  run.env = {{"A=B", "c"}};
  CHECK(refused(an_agent(), run) == "The environment has \"A=B\", which is no name of a variable.");
  run.env = {{"BIG", std::string(130000, 'x')}};
  CHECK(refused(an_agent(), run) ==
        "The variable BIG is longer than 120 KiB, the most that Agent X can be given.");
}

TEST_CASE("a wrapped prompt ends with the prompt", "[agents][command]") {
  auto made = wrapped_for_web_project("Add a button.", "/workspace");
  CHECK(made.starts_with("You are working in /workspace, a web application"));
  CHECK(made.ends_with("Task:\nAdd a button."));
}
