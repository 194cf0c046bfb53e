#pragma once

#include "messages/error.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::agents {

/// How an agent's standard output reads; see dialect.hpp.
enum class dialect_kind { claude, codex, opencode, gemini, copilot, pi, cline, droid, openhands, lines };

/// The family of interfaces through which an agent reaches its model.
enum class api_kind { anthropic, openai, responses, gemini };

/// How the prompt reaches the program: on standard input, as an argument, or in a file that an argument
/// names.
enum class prompt_kind { standard_input, argument, file };

/// A file to be written before the program starts. Its texts still have placeholders.
struct file_template {
  std::string path; ///< below the run's HOME
  std::string content;
};

/// What stands in the lines for people that tell how the work went, for programs which exit with 0 after a
/// failure.
struct telling_lines {
  std::vector<std::string> failure;
  std::vector<std::string> recovery; ///< takes back a failure told before
};

/// One command-line agent: how it is started and how its output reads. Data, read from
/// `definitions/<id>.toml`.
struct definition {
  std::string id;   ///< letters, digits, hyphens
  std::string name; ///< shown to people
  std::vector<std::string> aliases;
  std::string program; ///< looked up in the run's PATH
  dialect_kind dialect = dialect_kind::lines;
  api_kind api = api_kind::openai;
  prompt_kind prompt = prompt_kind::standard_input;
  int interrupt = 0; ///< number of the signal that is tried first when the run is cancelled
  std::vector<std::string> arguments;
  std::optional<std::vector<std::string>>
      resume_arguments;                        ///< instead of `arguments` when a session is resumed
  std::vector<std::string> resume;             ///< added to `arguments` when a session is resumed
  std::vector<std::string> system_prompt;      ///< added with an inline system prompt
  std::vector<std::string> system_prompt_path; ///< added with a system prompt in a file
  std::string base_url; ///< used when neither caller nor installation names one; may be empty
  std::map<std::string, std::string> environment;
  std::vector<file_template> files;
  telling_lines lines; ///< for the dialect `lines`

  bool can_resume() const noexcept { return resume_arguments || !resume.empty(); }
};

/// Reads a definition. @param id what the file is called, without .toml. Fails with invalid_argument; the
/// sentence names `source`, the key, and what is wrong with it.
result<definition> parse_definition(std::string_view text, const std::string& id, const std::string& source);

} // namespace sandy::agents
