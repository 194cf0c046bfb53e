#pragma once

#include "actors/agent_box.hpp"
#include "actors/agent_files.hpp"
#include "actors/services.hpp"
#include "agents/command.hpp"
#include "agents/definition.hpp"
#include "agents/output_reader.hpp"
#include "agents/wire.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/agent.hpp"

#include <memory>
#include <optional>

namespace sandy {

/// State of one run of a command-line agent: starts its program in the sandbox, turns what it prints into the
/// events that clients read, ends it when somebody wants that, and says the truth about its end, once.
///
/// Spawned by its sandbox. Events wait in a bounded queue for one reader; while that is full the agent's
/// output is not read, and waits in the sandbox. It lives as long as somebody may ask it.
class agent_run_state {
public:
  static inline const char* name = "agent_run";
  using self_pointer = coro::actor<agent_run_state, agent_run_actor>*;

  /// @param directory where it works, absolute.
  agent_run_state(self_pointer self, services* env, sandbox_id sandbox, agents::definition agent,
                  agent_order order, std::string directory, std::shared_ptr<agent_box> box);
  agent_run_state(const agent_run_state&) = delete;
  agent_run_state& operator=(const agent_run_state&) = delete;
  ~agent_run_state();
  agent_run_actor::behavior_type make_behavior();

private:
  static constexpr std::string_view workspace = "/workspace";
  /// Of what it printed and answered, for callers who do not read the stream.
  static constexpr std::size_t most_output = 1 << 20;
  /// For a sandbox to do what it is told at once; a paused one does not.
  static constexpr std::chrono::seconds control_patience{5};

  caf::result<void> start(start_agent_run);
  caf::result<agent_events> read(read_agent_events);

  coro::task<agents::rendered> prepare();
  coro::task<void> run();
  coro::task<void> drive(agents::rendered command);
  coro::task<process_exit> work(agents::rendered command);
  coro::task<void> record();
  coro::task<std::uint32_t> launch(process_spec spec);
  coro::task<void> place_files(agents::rendered& command);
  coro::task<process_exit> follow();
  coro::task<void> feed(std::string input);
  coro::task<void> take(std::string bytes);
  coro::task<void> take_errors(std::string bytes);
  coro::task<void> tell(const std::vector<agents::event>& events);
  // Files: agent_run_files.cpp.
  coro::task<void> watch_files();
  coro::task<void> tell_files();
  coro::task<void> report_files();
  coro::task<void> last_files();
  coro::task<void> beat();
  coro::task<void> watch_reader();
  coro::task<void> end_unread();
  void lose_reader();
  coro::task<void> say(std::string event);

  // The end: agent_run_ending.cpp.
  coro::task<void> watch_deadline();
  coro::task<void> finish();
  static coro::task<void> wait_for(coro::event& what);
  /// Ends the program, if it runs. The first reason counts. @returns false when its end was there already.
  bool stop(agents::ending why);
  coro::task<void> end_process();
  coro::task<void> end_start();
  coro::task<void> end_group();
  coro::task<void> leave_group();

  void note(const agents::event& event);
  void log(std::string_view what, std::string_view detail = {}) const;
  std::chrono::milliseconds elapsed() const;

  self_pointer self_;
  services& env_;
  sandbox_id sandbox_;
  agents::definition agent_;
  agent_order order_;
  std::string directory_;
  std::shared_ptr<agent_box> box_;
  agents::output_reader reader_;
  agents::line_splitter errors_;
  agent_files files_;
  coro::channel<std::string> events_;
  agent_run_info info_;
  coro::time_point begun_{};
  std::optional<agents::ending> stopping_; ///< why, once somebody wants the end
  bool read_ = false;                      ///< somebody came for events
  bool started_ = false;                   ///< there is a process
  std::uint32_t process_ = 0;              ///< its id inside
  result<process_exit> outcome_;
  coro::event over_;                        ///< the outcome is there, or we wait no longer for it
  coro::event swept_;                       ///< what it started was killed, where somebody wanted its end
  std::optional<coro::task<void>> driving_; ///< the program, from its start to its end
  std::optional<coro::task<void>> watching_, telling_; ///< the files, while there is something to see
  std::string printed_;                                ///< the end of what it printed as plain text
};

} // namespace sandy
