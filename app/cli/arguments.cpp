#include "app/cli/arguments.hpp"

#include "app/cli/cluster_arguments.hpp"
#include "app/cli/text.hpp"
#include "app/units.hpp"
#include "sandy_version.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string_view>

namespace sandy::cli {

namespace {

/// A mistake that CLI11 does not see.
[[noreturn]] void refuse(const std::string& sentence) { throw CLI::ValidationError(sentence); }

/// Seconds or milliseconds of a duration such as "10m".
std::uint64_t milliseconds_of(const std::string& option, const std::string& text) {
  auto duration = parse_duration(text);
  if (!duration || duration->count() == 0)
    refuse(option + ": \"" + text + "\" is not a duration such as 30s, 10m or 1h30m");
  return static_cast<std::uint64_t>(duration->count());
}

void add_env(CLI::App& app, variables& into) {
  app.add_option_function<std::vector<std::string>>(
         "-e,--env",
         [&into](const std::vector<std::string>& all) {
           for (const auto& word : all) {
             auto equals = word.find('=');
             if (equals == std::string::npos || equals == 0)
               refuse("--env: \"" + word + "\" is not NAME=VALUE");
             into.emplace_back(word.substr(0, equals), word.substr(equals + 1));
           }
         },
         "Set an environment variable; may be repeated")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
}

void add_create_options(CLI::App& app, create_options& into) {
  app.add_option("--flavor", into.flavor, "Kind of sandbox, as the server names them");
  app.add_option("--image", into.image, "Image of the server's image store");
  app.add_option_function<std::string>(
         "--ttl",
         [&into](const std::string& text) {
           into.ttl_seconds = static_cast<std::uint32_t>((milliseconds_of("--ttl", text) + 999) / 1000);
         },
         "Lifetime, e.g. 10m")
      ->type_name("DURATION");
  app.add_option_function<std::string>(
         "--idle-timeout",
         [&into](const std::string& text) {
           into.idle_timeout_seconds =
               static_cast<std::uint32_t>((milliseconds_of("--idle-timeout", text) + 999) / 1000);
         },
         "End it when it was unused for so long, e.g. 30m")
      ->type_name("DURATION");
  app.add_flag("--pause-on-idle", into.pause_on_idle, "Pause it then, until it is used again");
  app.add_option("--memory", into.memory, "Memory, e.g. 2Gi")->type_name("SIZE");
  app.add_option("--cpu", into.cpu, "CPU cores, e.g. 1.5")->type_name("CORES");
  app.add_option("--disk", into.disk, "Disk beyond the image, e.g. 10Gi")->type_name("SIZE");
  app.add_option("--pids", into.pids, "Processes and threads");
  app.add_option("--port", into.ports, "Expose a port; may be repeated")->expected(1)->take_all();
  app.add_option("--priority", into.priority, "CRITICAL, HIGH, NORMAL or LOW");
}

void add_exec_options(CLI::App& app, exec_options& into) {
  app.add_option("-w,--cwd", into.cwd, "Directory to run in")->type_name("PATH");
  app.add_option("-c,--script", into.script, "Run this shell script instead of a command");
  app.add_option_function<std::string>(
         "--timeout",
         [&into](const std::string& text) { into.timeout_ms = milliseconds_of("--timeout", text); },
         "Kill the command after this long; its exit code is 124 then")
      ->type_name("DURATION");
}

/// A script that runs these words literally.
std::string quoted(const std::vector<std::string>& words) {
  std::string script;
  for (const auto& word : words)
    script += (script.empty() ? "" : " ") + shell_quoted(word);
  return script;
}

/// The one command that a subcommand runs: `-c SCRIPT`, or words that the shell must take literally.
void finish_script(exec_options& into, const std::vector<std::string>& words) {
  if (into.script.empty() == words.empty())
    refuse("Give either a command (-- COMMAND ARGUMENT...) or --script");
  into.script += quoted(words);
}

} // namespace

parsed parse_arguments(const std::vector<std::string>& words,
                       const std::map<std::string, std::string>& environment) {
  // What follows "--" belongs to the command in the sandbox, whatever it looks like; CLI11 never sees it.
  auto split = std::find(words.begin(), words.end(), "--");
  std::vector<std::string> ours(words.begin(), split), theirs;
  if (split != words.end())
    theirs.assign(split + 1, words.end());

  auto all = std::make_unique<arguments>(); // CLI11 keeps references into it
  create_command create;
  list_command list;
  get_command get;
  exec_command exec;
  run_command run;
  shell_command shell;
  copy_command copy;
  logs_command logs;
  remove_command remove;
  pause_command pause;
  resume_command resume;
  std::vector<std::string> exec_words, run_words, shell_words;

  CLI::App app("Runs code in the sandboxes of a Sandy server.", "sandy");
  app.set_version_flag("--version", "sandy " + std::string(version), "Print the version and exit");
  app.require_subcommand(0, 1); // with 1, a wrong word would be reported as a missing one
  app.add_option("--base-url", all->where.base_url,
                 "The server (SANDY_BASE_URL; default http://127.0.0.1:7330)");
  app.add_option("--api-key", all->where.api_key,
                 "The key (SANDY_API_KEY; default: that of this machine's server)");
  app.add_option("--data-dir", all->where.data_dir,
                 "Where this machine's server keeps its key (SANDY_DATA_DIR; default /var/lib/sandy)");
  app.footer(
      "Exit codes: exec, run and shell pass on the command's, and are 125 when it could not be run or its "
      "end is unknown.\n"
      "Otherwise 0, 1 for failures, 2 for mistakes on the command line.");
  for (auto [name, field] :
       {std::pair{"SANDY_BASE_URL", &all->where.base_url}, std::pair{"SANDY_API_KEY", &all->where.api_key},
        std::pair{"SANDY_DATA_DIR", &all->where.data_dir}})
    if (auto found = environment.find(name); found != environment.end() && !found->second.empty())
      *field = found->second;

  auto* on_create = app.add_subcommand("create", "Create a sandbox and print its id");
  add_create_options(*on_create, create.sandbox);
  add_env(*on_create, create.sandbox.env);
  on_create->add_option("--workdir", create.sandbox.workdir, "Directory that commands run in")
      ->type_name("PATH");
  on_create->add_flag("--json", create.json, "Print everything the server says about it");

  auto* on_list = app.add_subcommand("ls", "List your sandboxes");
  on_list->add_flag("--json", list.json, "Print what the server says");

  auto* on_get = app.add_subcommand("get", "Describe a sandbox");
  on_get->add_option("ID", get.id)->required();

  auto* on_exec = app.add_subcommand("exec", "Run a command in a sandbox: sandy exec ID -- ls -l");
  on_exec->add_option("ID", exec.id)->required();
  on_exec->add_option("COMMAND", exec_words, "Put -- before it when it has options of its own");
  add_exec_options(*on_exec, exec.exec);
  add_env(*on_exec, exec.exec.env);

  auto* on_run =
      app.add_subcommand("run", "Run a command in a new sandbox, then end it: sandy run -- python3 -V");
  on_run->add_option("COMMAND", run_words, "Put -- before it when it has options of its own");
  add_create_options(*on_run, run.sandbox);
  add_exec_options(*on_run, run.exec);
  add_env(*on_run, run.exec.env);
  on_run->add_flag("--keep", run.keep, "Leave the sandbox, and print its id to standard error");

  auto* on_shell = app.add_subcommand("shell", "Work in a sandbox: sandy shell ID, or sandy shell ID -- top");
  on_shell->add_option("ID", shell.id)->required();
  on_shell->add_option("COMMAND", shell_words, "Runs instead of the user's shell; put -- before it");
  on_shell->add_option("-w,--cwd", shell.cwd, "Directory to start in")->type_name("PATH");
  on_shell->add_option("--attach", shell.attach, "Look at this process, which has a terminal")
      ->type_name("PID");
  on_shell->add_flag("--readonly", shell.read_only, "Look only");

  auto* on_copy = app.add_subcommand("cp", "Copy a file: sandy cp data.csv ID:/workspace/, or the other way");
  on_copy->add_option("FROM", copy.from, "A file, ID:PATH, or - for standard input")->required();
  on_copy->add_option("TO", copy.to, "A file or directory, ID:PATH, or - for standard output")->required();

  auto* on_logs = app.add_subcommand("logs", "Print what happened to a sandbox");
  on_logs->add_option("ID", logs.id)->required();
  on_logs->add_option("-n,--tail", logs.tail, "Only the newest lines");

  auto* on_remove = app.add_subcommand("rm", "End sandboxes");
  on_remove->add_option("ID", remove.ids)->required();

  auto* on_pause = app.add_subcommand("pause", "Stop all processes of sandboxes for a while");
  on_pause->add_option("ID", pause.ids)->required();

  auto* on_resume = app.add_subcommand("resume", "Let the processes of paused sandboxes go on");
  on_resume->add_option("ID", resume.ids)->required();

  auto* on_health = app.add_subcommand("health", "Ask whether the server serves");

  cluster_arguments cluster(app);

  try {
    app.parse(std::vector<std::string>(ours.rbegin(), ours.rend())); // CLI11 takes them from the back
    if (app.get_subcommands().empty())
      refuse("Say what to do; sandy --help lists the commands");
    if (cluster.parsed() && !cluster.chosen())
      refuse("Say what to do; sandy cluster --help lists the commands");
    if (split != words.end() && !on_exec->parsed() && !on_run->parsed() && !on_shell->parsed())
      refuse("Only exec, run and shell take a command after --");
    for (auto* given : {&exec_words, &run_words, &shell_words})
      given->insert(given->end(), theirs.begin(), theirs.end());
    if (on_exec->parsed())
      finish_script(exec.exec, exec_words);
    if (on_run->parsed())
      finish_script(run.exec, run_words);
    if (shell.attach && (!shell_words.empty() || !shell.cwd.empty()))
      refuse("A terminal that runs already has its command and directory");
    shell.script = quoted(shell_words);
  } catch (const CLI::ParseError& ended) {
    std::ostringstream out, err;
    if (app.exit(ended, out, err) == 0)
      return {std::nullopt, 0, out.str()};
    return {std::nullopt, 2, "sandy: " + std::string(ended.what()) + "\n"};
  }

  if (on_create->parsed())
    all->what = create;
  else if (on_list->parsed())
    all->what = list;
  else if (on_get->parsed())
    all->what = get;
  else if (on_exec->parsed())
    all->what = exec;
  else if (on_run->parsed())
    all->what = run;
  else if (on_shell->parsed())
    all->what = shell;
  else if (on_copy->parsed())
    all->what = copy;
  else if (on_logs->parsed())
    all->what = logs;
  else if (on_remove->parsed())
    all->what = remove;
  else if (on_pause->parsed())
    all->what = pause;
  else if (on_resume->parsed())
    all->what = resume;
  else if (on_health->parsed())
    all->what = health_command{};
  else if (auto chosen = cluster.chosen())
    all->what = std::move(*chosen);
  return {std::move(*all), 0, {}};
}

} // namespace sandy::cli
