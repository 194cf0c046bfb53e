// The sample file and the documentation must say what the settings table says.

#include "app/config.hpp"
#include "app/settings.hpp"
#include "tests/app/temporary_directory.hpp"

#include <algorithm>
#include <sstream>

using namespace sandy;

namespace {

std::string read_source(const std::string& name) {
  std::ifstream file(std::string(SANDY_SOURCE_DIR) + "/" + name);
  REQUIRE(file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

config load(const std::string& text) {
  temporary_directory directory;
  auto outcome = read_configuration({"--config", directory.write("sandy.toml", text)}, {}, "1");
  INFO(outcome.text);
  REQUIRE(outcome.settings);
  return *outcome.settings;
}

void check_defaults(const config& all) {
  for (const auto& one : settings()) {
    INFO(one.name);
    CHECK(one.get(all) == one.get(config{}));
  }
  CHECK(all.api_keys.empty());
  CHECK(all.worker.flavors.size() == 1);
  CHECK(all.worker.flavors.at("basic").image == "basic");
}

/// One row of the table in docs/configuration.md.
std::string row_of(const setting& one) {
  auto initial = one.get(config{});
  std::string type(one.type);
  if (auto bar = type.find('|'); bar != std::string::npos)
    type.insert(bar, "\\"); // a bar would end the cell
  return "| `" + std::string(one.name) + "` | " + type + " | " +
         (initial.empty() ? "" : "`" + initial + "`") + " | " + std::string(one.help) + " |\n";
}

} // namespace

TEST_CASE("the sample file changes nothing as it is", "[documents]") {
  check_defaults(load(read_source("deploy/sandy.toml")));
}

TEST_CASE("the sample file shows every setting with its default", "[documents]") {
  // "#name = value" is a setting to uncomment, "# text" is prose.
  std::istringstream lines(read_source("deploy/sandy.toml"));
  std::string uncommented;
  for (std::string line; std::getline(lines, line);)
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ')
      uncommented += line.substr(1) + "\n";
  for (const auto& one : settings()) {
    INFO(one.name);
    CHECK(("\n" + uncommented).find("\n" + std::string(one.name) + " = ") != std::string::npos);
  }
  CHECK(uncommented.find("[flavors.basic]") != std::string::npos);
  check_defaults(load(uncommented));
}

TEST_CASE("the documentation's tables are the settings table", "[documents]") {
  auto text = read_source("docs/configuration.md");
  std::size_t rows = 0;
  for (const auto& one : settings()) {
    INFO(row_of(one));
    CHECK(text.find("\n" + row_of(one)) != std::string::npos);
    CHECK(text.find("\n### " + std::string(one.group) + "\n") != std::string::npos);
    ++rows;
  }
  std::size_t documented = 0;
  for (std::size_t at = 0; (at = text.find("\n| `", at)) != std::string::npos; ++at)
    ++documented;
  CHECK(documented == rows);
}
