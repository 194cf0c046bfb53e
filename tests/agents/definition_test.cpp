#include "agents/definition.hpp"
#include "agents/placeholders.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace sandy;
using namespace sandy::agents;

namespace {

/// The least that a definition has, and `more` of it.
std::string minimal(const std::string& more = {}) {
  return "id = \"x\"\nname = \"X\"\nprogram = \"x\"\ndialect = \"lines\"\napi = \"openai\"\nprompt = "
         "\"stdin\"\n"
         "interrupt = \"INT\"\n" +
         more;
}

/// The same with one line replaced.
std::string with(const std::string& key, const std::string& line) {
  auto text = minimal();
  auto start = text.find(key + " = ");
  return text.replace(start, text.find('\n', start) - start, line);
}

std::string refused(const std::string& text) {
  auto read = parse_definition(text, "x", "agents/x.toml");
  REQUIRE_FALSE(read);
  CHECK(code_of(read.error()) == errc::invalid_argument);
  return text_of(read.error());
}

} // namespace

TEST_CASE("a definition is read as it stands", "[agents][definition]") {
  auto read = parse_definition(R"(
id = "x"
name = "An X"
aliases = ["y", "z-1"]
program = "xprog"
dialect = "codex"
api = "responses"
prompt = "argument"
interrupt = "TERM"
arguments = ["run", "--model={model}", "{prompt}"]
resume_arguments = ["resume", "{session_id}", "{prompt}"]
system_prompt = ["--system", "{system_prompt}"]
system_prompt_path = ["--system-file", "{system_prompt_path}"]
base_url = "https://models.test/v1"
[environment]
KEY = "{api_key}"
[[files]]
path = ".x/config.json"
content = '{"url": {json:base_url}, "env": "{env:KEY}", "{": {}}'
)",
                               "x", "x.toml");
  REQUIRE(read);
  CHECK(read->name == "An X");
  CHECK(read->aliases == std::vector<std::string>{"y", "z-1"});
  CHECK(read->program == "xprog");
  CHECK(read->dialect == dialect_kind::codex);
  CHECK(read->api == api_kind::responses);
  CHECK(read->prompt == prompt_kind::argument);
  CHECK(read->interrupt == SIGTERM);
  CHECK(read->arguments.size() == 3);
  CHECK(read->can_resume());
  CHECK(read->base_url == "https://models.test/v1");
  CHECK(read->environment.at("KEY") == "{api_key}");
  CHECK(read->files.at(0).path == ".x/config.json");
}

TEST_CASE("the least definition has no more than it says", "[agents][definition]") {
  auto read = parse_definition(minimal(), "x", "x.toml");
  REQUIRE(read);
  CHECK_FALSE(read->can_resume());
  CHECK(read->arguments.empty());
  CHECK(read->files.empty());
}

TEST_CASE("a wrong definition is refused with its file, key and reason", "[agents][definition]") {
  CHECK(refused("id = ") ==
        "agents/x.toml, line 1: Error while parsing key-value pair: encountered end-of-file");
  CHECK(refused(minimal("colour = 1")) == "agents/x.toml: colour is not a key of an agent's definition");
  CHECK(refused(with("program", "")) == "agents/x.toml: program is missing");
  CHECK(refused(with("name", "name = 3")) == "agents/x.toml: name is not a text");
  CHECK(refused(with("name", "name = \"\"")) == "agents/x.toml: name is empty");
  CHECK(refused(with("id", "id = \"other\"")) ==
        "agents/x.toml: id is \"other\", but the file is called \"x.toml\"");
  CHECK(refused(with("dialect", "dialect = \"morse\""))
            .starts_with("agents/x.toml: dialect is \"morse\", which is none of claude"));
  CHECK(refused(with("api", "api = \"soap\""))
            .starts_with("agents/x.toml: api is \"soap\", which is none of anthropic"));
  CHECK(refused(with("prompt", "prompt = \"pigeon\"")) ==
        "agents/x.toml: prompt is \"pigeon\", which is none of stdin, argument, file");
  CHECK(refused(with("interrupt", "interrupt = \"KILL\"")) ==
        "agents/x.toml: interrupt is \"KILL\", which is none of INT, TERM, HUP, QUIT");
  CHECK(refused(minimal("aliases = [\"A b\"]")) ==
        "agents/x.toml: aliases has \"A b\": lower-case letters, digits and hyphens are allowed");
  CHECK(refused(minimal("arguments = \"-x\"")) == "agents/x.toml: arguments is not a list of texts");
  CHECK(refused(minimal("arguments = [1]")) == "agents/x.toml: arguments is not a text");
  CHECK(refused(minimal("[environment]\n\"A=B\" = \"\"")) ==
        "agents/x.toml: environment.A=B is no name of a variable");
  CHECK(refused(minimal("[environment]\nA = 1")) == "agents/x.toml: environment.A is not a text");
  CHECK(refused(minimal("[[files]]\npath = \"a\"")) == "agents/x.toml: files.content is missing");
  CHECK(refused(minimal("[[files]]\npath = \"a\"\ncontent = \"\"\nmode = 1")) ==
        "agents/x.toml: files.mode is not a key of an agent's definition");
  CHECK(refused(minimal("[lines]\nfailure = [\"\"]")) ==
        "agents/x.toml: lines has an empty text, which is in every line");
}

TEST_CASE("files stay below the agent's home", "[agents][definition]") {
  for (std::string path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a/.."})
    CHECK(refused(minimal("[[files]]\npath = \"" + path + "\"\ncontent = \"\""))
              .find("files.path is \"" + path + "\"") != std::string::npos);
}

TEST_CASE("a placeholder that is not known where it stands is refused by its name", "[agents][definition]") {
  CHECK(refused(minimal("arguments = [\"{colour}\"]")) ==
        "agents/x.toml: arguments uses the placeholder {colour}, which is not known there");
  CHECK(refused(minimal("arguments = [\"{prompt}\"]")).find("{prompt}") != std::string::npos);
  CHECK(refused(minimal("[environment]\nA = \"{json:colour}\""))
            .find("environment.A uses the placeholder {colour}") != std::string::npos);
  CHECK(refused(minimal("[[files]]\npath = \"a\"\ncontent = \"{session_id}\"")).find("{session_id}") !=
        std::string::npos);
  CHECK(refused(minimal("resume = [\"--continue\"]")) ==
        "agents/x.toml: resume does not use the placeholder {session_id}");
  CHECK(refused(with("prompt", "prompt = \"argument\"")) ==
        "agents/x.toml: arguments does not use the placeholder {prompt}");
  CHECK(refused(with("prompt", "prompt = \"file\"") + "arguments = [\"-f\"]") ==
        "agents/x.toml: arguments does not use the placeholder {prompt_path}");
  CHECK(refused(minimal("resume = [\"{session_id}\"]\nresume_arguments = [\"{session_id}\"]")) ==
        "agents/x.toml: resume_arguments stands next to resume: give one of them");
}

TEST_CASE("placeholders are filled once, and other braces are left alone", "[agents][definition]") {
  values known{{"model", "a\"b{home}"}, {"home", "/h"}};
  CHECK(filled("{model} {json:model} {{home}} {home", known) == "a\"b{home} \"a\\\"b{home}\" {/h} {home");
  CHECK(filled("{} {HOME} {env:KEY} {other} { home }", known) == "{} {HOME} {env:KEY} {other} { home }");
  CHECK(filled("{{json:home}: {\"a\": {}}}", known) == "{\"/h\": {\"a\": {}}}");
  CHECK(filled("", known).empty());
  CHECK(filled("{json:x}", {{"x", std::string("\x7f\n\xFF\xC3\xA4", 5)}}) ==
        "\"\\u007f\\n\xEF\xBF\xBD\xC3\xA4\"");
  CHECK(names_in("{a}{json:b}{C}{a") == std::set<std::string>{"a", "b"});
}
