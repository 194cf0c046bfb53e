#pragma once

#include "guest/protocol.hpp"
#include "guest/user.hpp"
#include "runtime/unique_fd.hpp"

#include <sys/resource.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sandy::guest {

using runtime::unique_fd;

/// What a child gets that the guest itself must not have.
struct child_defaults {
  rlimit open_files{};   ///< the limit before the guest raised its own
  int oom_score_adj = 0; ///< children go first when memory runs out, so that the guest can tell the tale
};

struct spawn_plan {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string directory;
  int standard_fds[3] = {-1, -1, -1}; ///< borrowed
  int script_fd = -1;                 ///< borrowed; becomes the child's descriptor 3
  int group_fd = -1;                  ///< borrowed; the control group that the child joins before it runs
  bool terminal = false;              ///< standard input becomes the terminal that controls the new session
  const credentials* user = nullptr;  ///< borrowed; whom it runs as, instead of us
};

struct spawn_result {
  pid_t pid = -1;
  failure_kind stage = failure_kind::start; ///< what failed when there is no pid
  int error = 0;
  std::string subject; ///< the directory or program
};

/// Starts a program in a session of its own, with default signals and nothing open but what the plan names.
/// Returns when the program runs (or could not): like vfork, a matter of some hundred microseconds, without
/// copying page tables.
spawn_result spawn(const spawn_plan& plan, const child_defaults& defaults);

/// The arguments that run a shell for a person: the one that the environment names, bash, or sh.
std::vector<std::string> shell_for(const std::vector<std::string>& env);

/// Collects a shell script that arrives in pieces. Short ones become an argument of the shell; long ones an
/// anonymous file, so that neither a command line's limit nor our own memory has to hold them.
class script_text {
public:
  /// @return errno, 0 for success; EILSEQ: a NUL byte, which no shell script may contain; EFBIG: over
  /// max_script_bytes.
  int append(std::string_view bytes);
  /// The arguments that run the script: bash, or sh where there is none.
  std::vector<std::string> command() const;
  bool empty() const noexcept { return size_ == 0; }
  /// To be the child's descriptor 3; -1 for a short script.
  int file() const noexcept { return file_.get(); }
  /// The start of the script, for people.
  std::string_view head() const noexcept { return text_; }

private:
  int store(std::string_view bytes);

  std::string text_; ///< all of a short script, the start of a long one
  std::size_t size_ = 0;
  unique_fd file_;
};

} // namespace sandy::guest
