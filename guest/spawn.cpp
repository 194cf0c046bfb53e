#include "guest/spawn.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace sandy::guest {
namespace {

/// A single argument ends at 128 KiB (MAX_ARG_STRLEN), terminator included; the margin is for what is put
/// around it.
constexpr std::size_t longest_argument_script = 96 * 1024;

/// Shared with the child, which runs in our memory until it executes the program.
struct child_context {
  const spawn_plan& plan;
  const child_defaults& defaults;
  const int* fds; ///< standard input, output, error, and the script or -1: all above those that they become
  std::vector<char*> argv, env;
  std::vector<std::string> programs; ///< candidates, in order
  char oom_text[12] = {};
  std::size_t oom_length = 0;
  failure_kind stage = failure_kind::start;
  int error = 0;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const auto& text : texts)
    out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// Where a program may be: itself when it names a path, else below each directory of the child's own PATH.
std::vector<std::string> candidates(const spawn_plan& plan) {
  const auto& name = plan.argv.front();
  if (name.find('/') != std::string::npos)
    return {name};
  std::string_view path = "/usr/local/bin:/usr/bin:/bin";
  for (std::string_view setting : plan.env)
    if (setting.starts_with("PATH="))
      path = setting.substr(5);
  std::vector<std::string> out;
  while (!path.empty()) {
    auto directory = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), directory.size() + 1));
    if (!directory.empty())
      out.push_back(std::string{directory} + '/' + name);
  }
  return out;
}

/// Gives the child its descriptors and closes all others.
bool place_descriptors(const int* fds) {
  unsigned count = fds[3] >= 0 ? 4 : 3;
  for (unsigned i = 0; i < count; ++i)
    if (::dup2(fds[i], static_cast<int>(i)) < 0)
      return false;
  return ::syscall(SYS_close_range, count, ~0u, 0u) == 0;
}

/// Gives up what the guest may do, for good. The calls as such: libc's functions would look for threads, in
/// memory that is the parent's.
bool become(const credentials& user) {
  return ::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
         ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
}

/// The child's side. Only system calls and memory made before: it shares everything with its suspended
/// parent.
int run_child(void* argument) {
  auto& context = *static_cast<child_context*>(argument);
  const auto& plan = context.plan;
  // Raising is allowed to everybody who owns the file; where it is not (a /proc of somebody else's) the guest
  // merely loses its advantage over its children.
  if (int adj = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); adj >= 0) {
    [[maybe_unused]] auto written = ::write(adj, context.oom_text, context.oom_length);
    ::close(adj);
  }
  // First of all: nothing that it starts may be outside.
  if (plan.group_fd >= 0 && ::write(plan.group_fd, "0", 1) != 1) {
    context.error = errno;
    ::_exit(127);
  }
  if (::setsid() < 0 || !place_descriptors(context.fds) ||
      ::setrlimit(RLIMIT_NOFILE, &context.defaults.open_files) != 0 ||
      (plan.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) || (plan.user && !become(*plan.user))) {
    context.error = errno;
    ::_exit(127);
  }
  if (::chdir(plan.directory.c_str()) != 0) {
    context.stage = failure_kind::working_directory;
    context.error = errno;
    ::_exit(127);
  }
  // Dispositions are the default ones already: the guest has no handler and ignores nothing.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int error = ENOENT;
  for (const auto& program : context.programs) {
    ::execve(program.c_str(), context.argv.data(), context.env.data());
    // A later directory may have it; but "no permission" says more than "not found" at the end.
    if (errno != ENOENT && errno != ENOTDIR)
      error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
      break;
  }
  context.stage = failure_kind::program;
  context.error = error;
  ::_exit(127);
}

/// A descriptor above those that the child's own will take.
unique_fd lift(int fd) { return unique_fd{::fcntl(fd, F_DUPFD_CLOEXEC, 10)}; }

/// The child's stack while it shares our memory; execve needs little, PATH candidates are made before.
constexpr std::size_t stack_bytes = 64 * 1024;

class child_stack {
public:
  child_stack()
      : memory_(::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
                       -1, 0)) {}
  ~child_stack() {
    if (ok())
      ::munmap(memory_, stack_bytes);
  }
  child_stack(const child_stack&) = delete;
  child_stack& operator=(const child_stack&) = delete;
  bool ok() const noexcept { return memory_ != MAP_FAILED; }
  void* top() const noexcept { return static_cast<char*>(memory_) + stack_bytes; }

private:
  void* memory_;
};

} // namespace

spawn_result spawn(const spawn_plan& plan, const child_defaults& defaults) {
  const int wanted[4] = {plan.standard_fds[0], plan.standard_fds[1], plan.standard_fds[2], plan.script_fd};
  unique_fd held[4];
  int fds[4] = {-1, -1, -1, -1};
  for (int i = 0; i < 4; ++i) {
    if (wanted[i] < 0)
      continue;
    held[i] = lift(wanted[i]);
    if (!held[i])
      return {-1, failure_kind::start, errno, {}};
    fds[i] = held[i].get();
  }
  child_stack stack;
  if (!stack.ok())
    return {-1, failure_kind::start, errno, {}};
  child_context context{plan, defaults, fds, pointers(plan.argv), pointers(plan.env), candidates(plan)};
  auto end =
      std::to_chars(context.oom_text, context.oom_text + sizeof context.oom_text, defaults.oom_score_adj).ptr;
  context.oom_length = static_cast<std::size_t>(end - context.oom_text);
  pid_t pid = ::clone(run_child, stack.top(), CLONE_VM | CLONE_VFORK | SIGCHLD, &context);
  if (pid < 0)
    return {-1, failure_kind::start, errno, {}};
  if (context.error == 0) // written by the child before it gave up; a successful execve leaves it alone
    return {pid, {}, 0, {}};
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  auto subject = context.stage == failure_kind::working_directory ? plan.directory : plan.argv.front();
  return {-1, context.stage, context.error, std::move(subject)};
}

std::vector<std::string> shell_for(const std::vector<std::string>& env) {
  constexpr std::string_view variable = "SHELL=/";
  for (const auto& setting : env)
    if (setting.starts_with(variable) && ::access(setting.c_str() + variable.size() - 1, X_OK) == 0)
      return {setting.substr(variable.size() - 1)};
  return {::access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"};
}

int script_text::append(std::string_view bytes) {
  if (bytes.find('\0') != std::string_view::npos)
    return EILSEQ;
  size_ += bytes.size();
  if (size_ > max_script_bytes)
    return EFBIG;
  if (size_ <= longest_argument_script) {
    text_.append(bytes);
    return 0;
  }
  if (!file_) {
    file_.reset(::memfd_create("script", MFD_CLOEXEC));
    if (!file_)
      return errno;
    // The shell opens the file anew; closing our descriptor on its first line (which stays the first) keeps
    // it from commands.
    int error = store("exec 3<&-; ");
    if (error == 0)
      error = store(text_);
    if (error != 0)
      return error;
    text_.resize(std::min(text_.size(), max_command_text));
  }
  return store(bytes);
}

int script_text::store(std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errno;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

std::vector<std::string> script_text::command() const {
  std::string shell = ::access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
  if (file_)
    return {std::move(shell), "/proc/self/fd/3"};
  return {std::move(shell), "-c", text_};
}

} // namespace sandy::guest
