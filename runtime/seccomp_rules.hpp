#pragma once

#include <seccomp.h>

#include <array>
#include <cstdint>
#include <span>

namespace sandy::runtime {

/// Takes the rules of the system call filter, in whatever form it is wanted. What no rule allows is answered
/// with ENOSYS.
class rule_sink {
public:
  virtual ~rule_sink() = default;
  /// @param action SCMP_ACT_ALLOW, or SCMP_ACT_ERRNO of an error. @param name of a system call; one that this
  /// architecture does not have is left out. @param conditions all of which must hold.
  virtual void add(std::uint32_t action, const char* name, std::span<const scmp_arg_cmp> conditions) = 0;

  template <class... Conditions>
  void rule(std::uint32_t action, const char* name, Conditions... conditions) {
    const std::array<scmp_arg_cmp, sizeof...(conditions)> all{conditions...};
    add(action, name, all);
  }
};

scmp_arg_cmp equal(unsigned argument, std::uint64_t value);
scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value);

/// Everything that sandboxes may and may not ask the kernel, but for `refused_terminal_requests`.
void add_seccomp_rules(rule_sink& to);

/// Requests of ioctl(2) that type into the terminal of whoever shares it: TIOCSTI, TIOCLINUX. The kernel
/// looks at the lower 32 bits of the request only.
extern const std::array<std::uint32_t, 2> refused_terminal_requests;

} // namespace sandy::runtime
