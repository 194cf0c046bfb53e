#pragma once

#include "agents/definition.hpp"
#include "agents/model_access.hpp"
#include "messages/error.hpp"

#include <string>
#include <vector>

namespace sandy::agents {

/// Most bytes of one argument or one variable of the environment. The kernel refuses 128 KiB (MAX_ARG_STRLEN,
/// execve(2)); the rest is room for a variable's name.
inline constexpr std::size_t longest_argument = 120 * 1024;

/// What a caller wants of a run, and what the installation adds. Empty texts were not given.
struct wanted {
  std::string model;
  std::string prompt;
  std::string base_url;           ///< the request's `apiBaseUrl`
  std::string api_key;            ///< the request's `apiKey`
  std::string system_prompt;      ///< inline; wins over the path
  std::string system_prompt_path; ///< a file in the sandbox
  std::string session_id;         ///< a session of an earlier run, to be resumed
  environment env;                ///< the request's variables: they win over the definition's
  std::string home;               ///< the run's private HOME, absolute; stays for the next run of this agent
  std::string workspace;          ///< working directory, absolute
  std::string platform_base_url;  ///< the installation's, used when the caller names none
  std::string platform_api_key;   ///< likewise
};

/// A file to be written before the start, by mode 0600, its directories made where they are missing.
struct rendered_file {
  std::string path; ///< absolute
  std::string content;
};

/// A command that can be started.
struct rendered {
  std::vector<std::string> arguments; ///< the first is the program: look it up in the PATH that the run gets
  environment env;                    ///< on top of the sandbox's
  std::vector<rendered_file> files;
  std::string standard_input; ///< closed after that; empty: closed at once
};

/// The file whose text the caller of `render` has to put into `wanted.system_prompt` first, because this
/// agent takes no path; empty: none.
std::string system_prompt_to_read(const definition& agent, const wanted& run);

/// Fails with invalid_argument: a model that needs a router's base URL has none, the agent cannot resume a
/// session, or an argument or variable is longer than `longest_argument` or has a zero byte in it. The
/// sentence can be shown to callers.
result<rendered> render(const definition& agent, const wanted& run);

} // namespace sandy::agents
