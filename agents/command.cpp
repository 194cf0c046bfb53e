#include "agents/command.hpp"

#include "agents/placeholders.hpp"

#include <algorithm>

namespace sandy::agents {

namespace {

/// Lets a router choose the model, which only a router can do.
constexpr std::string_view router_model = "janus-router";

/// Names a file with a system prompt, for agents that take one.
constexpr const char* path_variable = "JANUS_SYSTEM_PROMPT_PATH";

/// Below the agent's HOME: files of ours that stand for texts too long for an argument.
constexpr const char* prompt_file = "/.sandy/prompt.md";
constexpr const char* system_prompt_file = "/.sandy/system-prompt.md";

std::string variable(const environment& env, const char* name) {
  auto found = env.find(name);
  return found == env.end() ? std::string() : found->second;
}

class renderer {
public:
  renderer(const definition& agent, const wanted& run)
      : agent_(agent)
      , run_(run)
      , prompt_(run.prompt) {}

  result<rendered> render() {
    auto base_url = given_base_url(run_.base_url, run_.env, agent_.api);
    if (run_.model == router_model && base_url.empty())
      return fail(errc::invalid_argument, "Model Auto Router requires a router API base URL.");
    if (!run_.session_id.empty() && !agent_.can_resume())
      return fail(errc::invalid_argument, agent_.name + " cannot resume a session.");
    for (const auto* next : {&run_.platform_base_url, &agent_.base_url})
      if (base_url.empty())
        base_url = *next;
    auto api_key = given_api_key(run_.api_key, run_.env, agent_.api);
    known_ = {{"model", run_.model},
              {"base_url", normal_base_url(base_url, agent_.api)},
              {"api_key", api_key.empty() ? run_.platform_api_key : api_key},
              {"home", run_.home},
              {"workspace", run_.workspace},
              {"session_id", run_.session_id}};

    auto system_flags = system_prompt();
    hand_over_prompt();
    made_.arguments = {agent_.program};
    auto resumed = !run_.session_id.empty();
    add(resumed && agent_.resume_arguments ? *agent_.resume_arguments : agent_.arguments);
    add(system_flags);
    if (resumed)
      add(agent_.resume);
    set_environment();
    for (const auto& file : agent_.files)
      made_.files.push_back({run_.home + "/" + file.path, filled(file.content, known_)});
    if (auto wrong = unfit(); !wrong.empty())
      return fail(errc::invalid_argument, std::move(wrong));
    return std::move(made_);
  }

private:
  void add(const std::vector<std::string>& templates) {
    for (const auto& one : templates)
      made_.arguments.push_back(filled(one, known_));
  }

  /// Decides how the system prompt goes in: by one flag, inline before path before variable. @returns its
  /// templates.
  std::vector<std::string> system_prompt() {
    auto takes_path = !agent_.system_prompt_path.empty();
    if (!run_.system_prompt.empty()) {
      // Too long for an argument, but the program reads files: then it is one.
      if (takes_path && (agent_.system_prompt.empty() || run_.system_prompt.size() > longest_argument)) {
        made_.files.push_back({run_.home + system_prompt_file, run_.system_prompt});
        known_["system_prompt_path"] = made_.files.back().path;
        return agent_.system_prompt_path;
      }
      if (agent_.system_prompt.empty())
        prompt_ = run_.system_prompt + "\n\n" + prompt_;
      known_["system_prompt"] = run_.system_prompt;
      return agent_.system_prompt;
    }
    if (!takes_path)
      return {};
    auto path = run_.system_prompt_path.empty() ? variable(run_.env, path_variable) : run_.system_prompt_path;
    known_["system_prompt_path"] = path;
    return path.empty() ? std::vector<std::string>() : agent_.system_prompt_path;
  }

  void hand_over_prompt() {
    switch (agent_.prompt) {
    case prompt_kind::standard_input:
      made_.standard_input = prompt_;
      return;
    case prompt_kind::argument:
      known_["prompt"] = prompt_;
      return;
    case prompt_kind::file:
      made_.files.push_back({run_.home + prompt_file, prompt_});
      known_["prompt_path"] = made_.files.back().path;
      return;
    }
  }

  /// Whether what stands for a placeholder of `text` was given by nobody: a variable made of it would hide a
  /// good one of the sandbox's.
  bool lacks_value(std::string_view text) const {
    auto used = names_in(text);
    return std::any_of(used.begin(), used.end(),
                       [&](const auto& name) { return known_.find(name)->second.empty(); });
  }

  void set_environment() {
    made_.env = {{"NO_COLOR", "1"}, {"TERM", "dumb"}};
    for (const auto& [name, value] : run_.env)
      made_.env[name] = value;
    for (const auto& [name, value] : agent_.environment) {
      // The caller's URL is in {base_url} already, as this agent wants it; a key given as a field is meant
      // before all.
      auto used = names_in(value);
      auto ours = used.contains("base_url") || (used.contains("api_key") && !run_.api_key.empty());
      if ((ours || !run_.env.contains(name)) && !lacks_value(value))
        made_.env[name] = filled(value, known_);
    }
    // The agent's configuration is there, whatever the caller's HOME is.
    made_.env["HOME"] = run_.home;
    // Said by a flag, or overruled by one: the agent must not find it a second time.
    if (!agent_.system_prompt_path.empty())
      made_.env.erase(path_variable);
  }

  /// What the kernel would refuse, as a sentence; empty: nothing.
  std::string unfit() const {
    auto too_long = " is longer than " + std::to_string(longest_argument / 1024) + " KiB, the most that " +
                    agent_.name + " can be given.";
    for (const auto& argument : made_.arguments) {
      if (argument.find('\0') != std::string::npos)
        return "A zero byte cannot be given to " + agent_.name + " in an argument.";
      if (argument.size() > longest_argument)
        return (argument.find(prompt_) == std::string::npos ? "An argument" : "The prompt") + too_long;
    }
    for (const auto& [name, value] : made_.env) {
      if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
        return "The environment has \"" + name + "\", which is no name of a variable.";
      if (value.find('\0') != std::string::npos)
        return "The variable " + name + " has a zero byte in it.";
      if (name.size() + value.size() > longest_argument)
        return "The variable " + name + too_long;
    }
    return {};
  }

  const definition& agent_;
  const wanted& run_;
  std::string prompt_;
  values known_;
  rendered made_;
};

} // namespace

std::string system_prompt_to_read(const definition& agent, const wanted& run) {
  return run.system_prompt.empty() && agent.system_prompt_path.empty() ? run.system_prompt_path
                                                                       : std::string();
}

result<rendered> render(const definition& agent, const wanted& run) { return renderer(agent, run).render(); }

} // namespace sandy::agents
