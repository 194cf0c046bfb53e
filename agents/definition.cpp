#include "agents/definition.hpp"

#include "agents/placeholders.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>

namespace sandy::agents {

namespace {

/// Carries a sentence out of the depth of a file; never leaves `parse_definition`.
struct mistake {
  std::string sentence;
};

template <class T>
using names = std::initializer_list<std::pair<std::string_view, T>>;

/// What may stand in which text. A value of the caller's that has a flag of its own is not known elsewhere,
/// or it would be handed over twice, or not at all.
const std::set<std::string> everywhere{"model", "base_url", "api_key", "home", "workspace"};

std::set<std::string> and_also(std::set<std::string> more) {
  more.insert(everywhere.begin(), everywhere.end());
  return more;
}

class reader {
public:
  reader(const std::string& source, const toml::table& root)
      : source_(source)
      , root_(root) {}

  definition read(const std::string& id) {
    only(root_, "",
         {"id", "name", "aliases", "program", "dialect", "api", "prompt", "interrupt", "arguments", "resume",
          "base_url", "resume_arguments", "files", "system_prompt", "system_prompt_path", "environment",
          "lines"});
    definition made;
    made.id = needed("id");
    if (made.id != id)
      throw wrong("id", "is \"" + made.id + "\", but the file is called \"" + id + ".toml\"");
    made.name = needed("name");
    made.aliases = list("aliases");
    for (const auto& one : made.aliases)
      check_id("aliases", one);
    check_id("id", made.id);
    made.program = needed("program");
    made.base_url = optional_text("base_url");
    made.dialect = one_of<dialect_kind>("dialect", {{"claude", dialect_kind::claude},
                                                    {"codex", dialect_kind::codex},
                                                    {"opencode", dialect_kind::opencode},
                                                    {"gemini", dialect_kind::gemini},
                                                    {"copilot", dialect_kind::copilot},
                                                    {"pi", dialect_kind::pi},
                                                    {"cline", dialect_kind::cline},
                                                    {"droid", dialect_kind::droid},
                                                    {"openhands", dialect_kind::openhands},
                                                    {"lines", dialect_kind::lines}});
    made.api = one_of<api_kind>("api", {{"anthropic", api_kind::anthropic},
                                        {"openai", api_kind::openai},
                                        {"responses", api_kind::responses},
                                        {"gemini", api_kind::gemini}});
    made.prompt = one_of<prompt_kind>("prompt", {{"stdin", prompt_kind::standard_input},
                                                 {"argument", prompt_kind::argument},
                                                 {"file", prompt_kind::file}});
    made.interrupt =
        one_of<int>("interrupt", {{"INT", SIGINT}, {"TERM", SIGTERM}, {"HUP", SIGHUP}, {"QUIT", SIGQUIT}});
    read_arguments(made);
    read_environment(made);
    read_files(made);
    read_lines(made);
    return made;
  }

private:
  mistake wrong(std::string_view key, const std::string& what) const {
    return {source_ + ": " + std::string(key) + " " + what};
  }

  void only(const toml::table& table, std::string_view prefix,
            std::initializer_list<std::string_view> known) const {
    for (const auto& [key, value] : table)
      if (std::find(known.begin(), known.end(), key.str()) == known.end())
        throw wrong(std::string(prefix) + std::string(key.str()), "is not a key of an agent's definition");
  }

  std::string text(std::string_view key, const toml::node* node) const {
    auto found = node ? node->value_exact<std::string>() : std::nullopt;
    if (!found)
      throw wrong(key, node ? "is not a text" : "is missing");
    if (found->find('\0') != std::string::npos)
      throw wrong(key, "has a zero byte in it");
    return std::move(*found);
  }

  std::string needed(std::string_view key) const {
    auto found = text(key, root_.get(key));
    if (found.empty())
      throw wrong(key, "is empty");
    return found;
  }

  std::string optional_text(std::string_view key) const {
    return root_.contains(key) ? text(key, root_.get(key)) : std::string();
  }

  std::vector<std::string> list(std::string_view key) const { return list(key, root_.get(key)); }

  std::vector<std::string> list(std::string_view key, const toml::node* node) const {
    std::vector<std::string> found;
    if (!node)
      return found;
    if (!node->is_array())
      throw wrong(key, "is not a list of texts");
    for (const auto& item : *node->as_array())
      found.push_back(text(key, &item));
    return found;
  }

  template <class T>
  T one_of(std::string_view key, names<T> known) const {
    auto said = needed(key);
    std::string all;
    for (const auto& [name, value] : known) {
      if (name == said)
        return value;
      all += (all.empty() ? "" : ", ") + std::string(name);
    }
    throw wrong(key, "is \"" + said + "\", which is none of " + all);
  }

  void check_id(std::string_view key, const std::string& id) const {
    auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    if (id.empty() || !std::all_of(id.begin(), id.end(), fits))
      throw wrong(key, "has \"" + id + "\": lower-case letters, digits and hyphens are allowed");
  }

  /// Checks the placeholders of `text`. @returns their names.
  std::set<std::string> check(std::string_view key, const std::string& text,
                              const std::set<std::string>& known) const {
    auto used = names_in(text);
    for (const auto& name : used)
      if (!known.contains(name))
        throw wrong(key, "uses the placeholder {" + name + "}, which is not known there");
    return used;
  }

  std::vector<std::string> arguments(std::string_view key, const std::set<std::string>& known,
                                     std::string_view must_have) const {
    auto found = list(key);
    auto has = must_have.empty() || found.empty();
    for (const auto& one : found)
      has |= check(key, one, known).contains(std::string(must_have));
    if (!has)
      throw wrong(key, "does not use the placeholder {" + std::string(must_have) + "}");
    return found;
  }

  void read_arguments(definition& made) const {
    std::string prompt;
    if (made.prompt != prompt_kind::standard_input)
      prompt = made.prompt == prompt_kind::argument ? "prompt" : "prompt_path";
    auto known = prompt.empty() ? everywhere : and_also({prompt});
    made.arguments = arguments("arguments", known, prompt);
    if (made.arguments.empty() && !prompt.empty())
      throw wrong("arguments", "does not use the placeholder {" + prompt + "}");
    made.resume = arguments("resume", and_also({"session_id"}), "session_id");
    made.system_prompt = arguments("system_prompt", and_also({"system_prompt"}), "system_prompt");
    made.system_prompt_path =
        arguments("system_prompt_path", and_also({"system_prompt_path"}), "system_prompt_path");
    if (!root_.contains("resume_arguments"))
      return;
    if (!made.resume.empty())
      throw wrong("resume_arguments", "stands next to resume: give one of them");
    known.insert("session_id");
    made.resume_arguments = arguments("resume_arguments", known, prompt);
    arguments("resume_arguments", known, "session_id");
    if (made.resume_arguments->empty())
      throw wrong("resume_arguments", "is empty");
  }

  void read_environment(definition& made) const {
    auto* node = root_.get("environment");
    if (!node)
      return;
    if (!node->is_table())
      throw wrong("environment", "is not a table");
    for (const auto& [key, value] : *node->as_table()) {
      auto name = "environment." + std::string(key.str());
      if (key.str().empty() || key.str().find('=') != std::string_view::npos)
        throw wrong(name, "is no name of a variable");
      auto content = text(name, &value);
      check(name, content, everywhere);
      made.environment.emplace(key.str(), std::move(content));
    }
  }

  void read_files(definition& made) const {
    auto* node = root_.get("files");
    if (!node)
      return;
    if (!node->is_array_of_tables())
      throw wrong("files", "is not a list of tables: write [[files]]");
    for (const auto& item : *node->as_array()) {
      const auto& table = *item.as_table();
      only(table, "files.", {"path", "content"});
      file_template one{text("files.path", table.get("path")), text("files.content", table.get("content"))};
      check_path(one.path);
      check("files.content", one.content, everywhere);
      made.files.push_back(std::move(one));
    }
  }

  void read_lines(definition& made) const {
    auto* node = root_.get("lines");
    if (!node)
      return;
    if (!node->is_table() || made.dialect != dialect_kind::lines)
      throw wrong("lines", "is not a table of an agent with the dialect \"lines\"");
    const auto& table = *node->as_table();
    only(table, "lines.", {"failure", "recovery"});
    made.lines = {list("lines.failure", table.get("failure")), list("lines.recovery", table.get("recovery"))};
    for (const auto* prefixes : {&made.lines.failure, &made.lines.recovery})
      if (std::find(prefixes->begin(), prefixes->end(), "") != prefixes->end())
        throw wrong("lines", "has an empty text, which is in every line");
  }

  void check_path(const std::string& path) const {
    std::istringstream parts(path);
    auto good = !path.empty() && path.back() != '/';
    for (std::string part; std::getline(parts, part, '/');)
      good &= !part.empty() && part != "." && part != "..";
    if (!good)
      throw wrong("files.path",
                  "is \"" + path +
                      "\": a file below the agent's home is meant, such as \".tool/config.json\"");
    check("files.path", path, {});
  }

  const std::string& source_;
  const toml::table& root_;
};

} // namespace

result<definition> parse_definition(std::string_view text, const std::string& id, const std::string& source) {
  try {
    auto root = toml::parse(text);
    return reader(source, root).read(id);
  } catch (const mistake& wrong) {
    return fail(errc::invalid_argument, wrong.sentence);
  } catch (const toml::parse_error& wrong) {
    return fail(errc::invalid_argument, source + ", line " + std::to_string(wrong.source().begin.line) +
                                            ": " + std::string(wrong.description()));
  }
}

} // namespace sandy::agents
