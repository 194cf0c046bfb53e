#include "runtime/child_process.hpp"

#include "runtime/system_failure.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sandy::runtime {

namespace {

constexpr std::size_t most_error_bytes = 16 * 1024;
constexpr std::chrono::milliseconds between_questions{500};

/// posix_spawn rather than fork: the page tables of a large server are not copied.
class spawn_plan {
public:
  spawn_plan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 1);
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
  ~spawn_plan() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }

  void place(int source, int target) { ::posix_spawn_file_actions_adddup2(&actions_, source, target); }
  void close_from(int first) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, first); }

  /// Returns 0 or the errno.
  int spawn(const child_command& command, pid_t& pid) {
    static const std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    auto argv = pointers_to(command.arguments), environment = pointers_to(command.environment);
    environment.insert(environment.begin(), const_cast<char*>(path.c_str()));
    return ::posix_spawn(&pid, argv.front(), &actions_, &attributes_, argv.data(), environment.data());
  }

private:
  /// posix_spawn does not write to them.
  static std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (const auto& text : texts)
      all.push_back(const_cast<char*>(text.c_str()));
    all.push_back(nullptr);
    return all;
  }

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

/// Takes what is in the pipe; false at its end.
bool drain(int pipe, std::string& into) {
  std::array<char, 4096> buffer;
  for (;;) {
    auto count = ::read(pipe, buffer.data(), buffer.size());
    if (count > 0)
      into.append(buffer.data(), std::min(static_cast<std::size_t>(count), most_error_bytes - into.size()));
    else if (count == 0)
      return false;
    else if (errno != EINTR)
      return true;
  }
}

} // namespace

result<child_outcome> run_child(const child_command& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return system_failure("cannot make a pipe");
  unique_fd read_end{ends[0]}, write_end{ends[1]};
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0)
    return system_failure("cannot set up a pipe");

  spawn_plan plan;
  plan.place(write_end.get(), 2);
  // Sources are first copied above all targets: otherwise placing one could overwrite the next.
  auto first_free = 3 + static_cast<int>(command.descriptors.size());
  std::vector<unique_fd> copies;
  for (std::size_t i = 0; i < command.descriptors.size(); ++i) {
    copies.emplace_back(::fcntl(command.descriptors[i], F_DUPFD_CLOEXEC, first_free));
    if (!copies.back())
      return system_failure("cannot pass a descriptor");
    plan.place(copies.back().get(), 3 + static_cast<int>(i));
  }
  plan.close_from(first_free);

  pid_t pid = 0;
  if (auto error = plan.spawn(command, pid); error != 0)
    return system_failure("cannot start a helper program", error, errc::sandbox_failed);
  write_end.reset();
  copies.clear();
  unique_fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  auto open_error = errno;
  if (!pidfd)
    ::kill(pid, SIGKILL); // a child not yet waited for: the pid is still its

  child_outcome outcome;
  caf::error refusal;
  auto next_question = std::chrono::steady_clock::now() + between_questions;
  std::array<pollfd, 2> watched{pollfd{pidfd.get(), POLLIN, 0}, pollfd{read_end.get(), POLLIN, 0}};
  while (pidfd) {
    auto until = command.go_on ? std::min(next_question, command.deadline) : command.deadline;
    auto count = ::poll(watched.data(), watched.size(), milliseconds_until(until));
    if (count < 0 && errno == EINTR)
      continue;
    if (count >= 0 && command.go_on && std::chrono::steady_clock::now() >= next_question) {
      if (auto answer = command.go_on(); !answer) {
        refusal = std::move(answer.error());
        kill_process(pidfd.get());
        break;
      }
      next_question = std::chrono::steady_clock::now() + between_questions;
    }
    if (count < 0 || (count == 0 && std::chrono::steady_clock::now() >= command.deadline)) {
      outcome.timed_out = true;
      kill_process(pidfd.get());
      break;
    }
    if (watched[1].revents != 0 && !drain(read_end.get(), outcome.errors))
      watched[1].fd = -1; // closed everywhere; poll skips it from now on
    if (watched[0].revents != 0)
      break;
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return system_failure("cannot wait for a helper program");
  if (!pidfd)
    return system_failure("cannot watch a helper program", open_error);
  if (refusal)
    return refusal;
  drain(read_end.get(), outcome.errors);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string complaint(const child_outcome& outcome) {
  constexpr std::size_t longest = 300;
  std::string text;
  for (unsigned char c : outcome.errors) {
    if (text.size() >= longest)
      break;
    if (c > 0x20 && c < 0x7f)
      text += static_cast<char>(c);
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  while (text.ends_with(' '))
    text.pop_back();
  if (!text.empty())
    return text;
  return outcome.exit_status > 128
             ? "its helper was ended by signal " + std::to_string(outcome.exit_status - 128)
             : "its helper ended with status " + std::to_string(outcome.exit_status);
}

} // namespace sandy::runtime
