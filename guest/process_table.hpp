#pragma once

#include "guest/process.hpp"
#include "guest/spawn.hpp"

#include <map>
#include <memory>

namespace sandy::guest {

/// Owns every process that was asked for and reaps every process there is: as process 1 the guest is the
/// parent of orphans too.
class process_table {
public:
  static constexpr std::size_t max_running = 64; ///< background processes at once
  static constexpr std::size_t max_records =
      128; ///< background processes that can be asked for, running or not
  static constexpr std::size_t default_ring = 1024 * 1024, max_ring = 64 * 1024 * 1024;
  static constexpr std::size_t max_ring_total = 256 * 1024 * 1024; ///< of all background processes together

  process_table(event_loop& loop, child_defaults defaults)
      : loop_(loop)
      , defaults_(defaults)
      , last_sign_ms_(monotonic_ms()) {}

  struct outcome {
    process* made = nullptr;
    failure why; ///< valid without a process
  };
  /// Descriptors that a child needs, or -1.
  struct borrowed_fds {
    int script = -1; ///< becomes its descriptor 3
    int group = -1;  ///< of the control group that it joins
  };
  /// Starts a process. @param argv what runs. @param sink takes the output of a foreground process.
  /// @param user whom it runs as; nullptr: us.
  outcome start(const spawn_request& request, std::vector<std::string> argv, borrowed_fds fds,
                std::string command, output_sink* sink, const credentials* user = nullptr);
  /// Starts a background process on a terminal of its own. @param script_fd as above.
  outcome start_on_terminal(const spawn_request& request, window_size window, std::vector<std::string> argv,
                            int script_fd, std::string command);

  /// Any process that can still be asked for. nullptr: unknown.
  process* find(std::uint32_t id);
  /// Calls `visit` with each background process, oldest first.
  template <class F>
  void each_background(F visit) {
    for (const auto& [id, one] : processes_)
      if (one->background())
        visit(*one);
  }

  /// How long ago a process that is heeded was last seen to start, write or end; 0 while a foreground one
  /// runs.
  std::uint64_t quiet_ms() const;

  /// Collects every child that has ended.
  void reap();
  /// Forgets processes nobody can ask for any more. Only between two rounds of the loop.
  void sweep();

private:
  /// Where the kept output of a new background process goes; nothing: see `why`.
  std::unique_ptr<ring> make_ring(std::uint64_t wanted_bytes, failure& why);
  /// Starts the program and takes it down in the books; it does not `begin` yet.
  /// @param last_sign_ms where it notes that it does something.
  outcome launch(const spawn_plan& plan, std::string command, std::uint64_t& last_sign_ms);
  /// Makes room for another background process. @return false when too many run.
  bool make_room(std::size_t ring_bytes);

  event_loop& loop_;
  child_defaults defaults_;
  std::uint64_t last_sign_ms_;
  std::uint64_t unheeded_sign_ms_ = 0; ///< of processes that nobody heeds: nobody reads it
  std::uint32_t next_id_ = 1;
  std::map<std::uint32_t, std::unique_ptr<process>> processes_;
  std::map<pid_t, process*> by_pid_;
};

} // namespace sandy::guest
