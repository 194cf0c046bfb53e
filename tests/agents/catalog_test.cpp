#include "agents/catalog.hpp"
#include "agents/command.hpp"
#include "agents/json_text.hpp"

#include <catch2/catch.hpp>
#include <toml++/toml.h>

#include <filesystem>
#include <fstream>
#include <stdlib.h>

using namespace sandy;
using namespace sandy::agents;

namespace fs = std::filesystem;

namespace {

/// A folder of definitions that is gone afterwards.
class folder {
public:
  folder()
      : path_((fs::temp_directory_path() / "sandy-agents-XXXXXX").string()) {
    if (!mkdtemp(path_.data()))
      throw std::runtime_error("mkdtemp failed");
  }
  ~folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;

  void add(const std::string& id, const std::string& more = {}) const {
    std::ofstream(path_ + "/" + id + ".toml")
        << "id = \"" << id << "\"\nname = \"" << id << "\"\nprogram = \"" << id
        << "\"\ndialect = \"lines\"\napi = \"openai\"\nprompt = \"stdin\"\ninterrupt = \"INT\"\n"
        << more;
  }

  const std::string& path() const { return path_; }

private:
  std::string path_;
};

} // namespace

TEST_CASE("agents are found by id and alias, in a stable order", "[agents][catalog]") {
  folder dir;
  dir.add("b-two", "aliases = [\"two\"]");
  dir.add("b");
  dir.add("a");
  std::ofstream(dir.path() + "/README.md") << "not a definition";
  auto known = catalog::load(dir.path());
  REQUIRE(known);
  REQUIRE(known->all().size() == 3);
  CHECK(known->all()[0].id == "a");
  CHECK(known->all()[1].id == "b");
  CHECK(known->all()[2].id == "b-two");
  CHECK(known->find("two") == &known->all()[2]);
  CHECK(known->find("b") == &known->all()[1]);
  CHECK(known->find("Two") == nullptr);
  CHECK(known->find("") == nullptr);
}

TEST_CASE("a name belongs to one agent", "[agents][catalog]") {
  folder dir;
  dir.add("a");
  dir.add("b", "aliases = [\"a\"]");
  auto known = catalog::load(dir.path());
  REQUIRE_FALSE(known);
  CHECK(code_of(known.error()) == errc::invalid_argument);
  CHECK(text_of(known.error()) ==
        dir.path() + "/b.toml: the name \"a\" is taken by " + dir.path() + "/a.toml");
}

TEST_CASE("a wrong definition and a missing folder are named", "[agents][catalog]") {
  folder dir;
  dir.add("a", "colour = 1");
  auto known = catalog::load(dir.path());
  REQUIRE_FALSE(known);
  CHECK(text_of(known.error()).starts_with(dir.path() + "/a.toml: colour"));
  auto missing = catalog::load(dir.path() + "/missing");
  REQUIRE_FALSE(missing);
  CHECK(code_of(missing.error()) == errc::internal);
}

TEST_CASE("every agent that comes with the server can be started, whatever callers' values hold",
          "[agents][catalog]") {
  auto known = catalog::load(SANDY_SOURCE_DIR "/agents/definitions");
  if (!known)
    FAIL(text_of(known.error()));
  REQUIRE(known->find("claude-code"));
  CHECK(known->find("claude") == known->find("claude-code"));
  wanted run;
  run.model = "lab/\"model\"";
  run.prompt = "Do it.";
  run.home = "/home/agent";
  run.workspace = "/workspace";
  run.api_key = "key\"\\\n";
  run.base_url = "https://m.test/";
  run.system_prompt = "Be \"brief\".\n";
  for (const auto& agent : known->all()) {
    CAPTURE(agent.id);
    for (std::string session : {"", "session"}) {
      run.session_id = agent.can_resume() ? session : "";
      auto made = render(agent, run);
      if (!made)
        FAIL(text_of(made.error()));
      CHECK(made->arguments.front() == agent.program);
      for (const auto& file : made->files) {
        CAPTURE(file.path, file.content);
        if (file.path.ends_with(".json"))
          CHECK(parse_object(file.content));
        if (file.path.ends_with(".toml"))
          CHECK_NOTHROW(toml::parse(file.content));
      }
    }
  }
}
