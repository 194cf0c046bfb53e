#include "runtime/seccomp_filter.hpp"

#include "runtime/seccomp_rules.hpp"
#include "runtime/system_failure.hpp"
#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <bit>
#include <cstddef>
#include <memory>

namespace sandy::runtime {

namespace {

class filter_builder final : public rule_sink {
public:
  filter_builder()
      : context_(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {
    if (!context_)
      error_ = ENOMEM;
    // Another architecture has other numbers for the same calls: this list would check the wrong ones.
    else
      note(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  }

  void add(std::uint32_t action, const char* name, std::span<const scmp_arg_cmp> conditions) override {
    if (error_ != 0)
      return;
    auto number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
      return; // newer than this libseccomp: stays ENOSYS
    note(::seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(conditions.size()),
                                  conditions.data()));
  }

  result<std::string> compile() {
    if (error_ != 0)
      return system_failure("cannot build the system call filter", error_);
    unique_fd file{::memfd_create("seccomp", MFD_CLOEXEC)};
    if (!file)
      return system_failure("cannot store the system call filter");
    note(::seccomp_export_bpf(context_.get(), file.get()));
    struct stat about{};
    if (error_ != 0 || ::fstat(file.get(), &about) != 0)
      return system_failure("cannot compile the system call filter", error_ != 0 ? error_ : errno);
    std::string program(static_cast<std::size_t>(about.st_size), '\0');
    if (::pread(file.get(), program.data(), program.size(), 0) != about.st_size)
      return system_failure("cannot read the system call filter", EIO);
    return program;
  }

private:
  struct release {
    void operator()(void* context) const { ::seccomp_release(context); }
  };
  void note(int outcome) {
    if (outcome < 0 && error_ == 0)
      error_ = -outcome;
  }

  std::unique_ptr<void, release> context_;
  int error_ = 0;
};

/// Refuses to type into the terminal of whoever shares it (TIOCSTI, TIOCLINUX). By hand and in front of the
/// rest, because libseccomp compares 64 bits where the kernel looks at the lower 32 only: with a bit set
/// above them, "not equal" is true.
std::string terminal_prologue() {
  constexpr auto request_low = offsetof(seccomp_data, args) + sizeof(std::uint64_t);
  static_assert(std::endian::native == std::endian::little, "the lower half of an argument comes first");
  constexpr sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, request_low),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  return {reinterpret_cast<const char*>(code), sizeof code};
}

} // namespace

result<std::string> compile_seccomp_filter() {
  filter_builder filter;
  add_seccomp_rules(filter);
  auto program = filter.compile();
  if (program)
    program->insert(0, terminal_prologue()); // jumps of the rest are relative and forward
  return program;
}

} // namespace sandy::runtime
