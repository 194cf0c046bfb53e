#include "runtime/seccomp_filter.hpp"
#include "runtime/seccomp_rules.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace sandy::runtime {

namespace {

using nlohmann::json;

const char* word(scmp_compare comparison) {
  switch (comparison) {
  case SCMP_CMP_NE:
    return "SCMP_CMP_NE";
  case SCMP_CMP_GT:
    return "SCMP_CMP_GT";
  case SCMP_CMP_MASKED_EQ:
    return "SCMP_CMP_MASKED_EQ";
  default:
    return "SCMP_CMP_EQ";
  }
}

class profile_builder final : public rule_sink {
public:
  void add(std::uint32_t action, const char* name, std::span<const scmp_arg_cmp> conditions) override {
    json arguments = json::array();
    for (const auto& each : conditions)
      arguments.push_back(
          {{"index", each.arg}, {"value", each.datum_a}, {"valueTwo", each.datum_b}, {"op", word(each.op)}});
    json rule{{"names", {name}}, {"args", std::move(arguments)}};
    if (action == SCMP_ACT_ALLOW) {
      rule["action"] = "SCMP_ACT_ALLOW";
    } else {
      rule["action"] = "SCMP_ACT_ERRNO";
      rule["errnoRet"] = action & 0xffff;
    }
    rules_.push_back(std::move(rule));
  }

  json take() { return std::move(rules_); }

private:
  json rules_ = json::array();
};

/// Allows a call for every value of the lower half of an argument but those: a rule for each subtree, in the
/// tree of all values by their bits from the highest on, that holds none of them.
void allow_all_but(rule_sink& to, const char* name, unsigned argument, std::span<const std::uint32_t> refused,
                   std::uint32_t prefix = 0, int bit = 31) {
  for (std::uint32_t value : {0u, 1u}) {
    auto branch = prefix | value << bit, mask = ~0u << bit;
    auto in_branch = [&](std::uint32_t each) { return (each & mask) == branch; };
    if (std::none_of(refused.begin(), refused.end(), in_branch))
      to.rule(SCMP_ACT_ALLOW, name, masked(argument, mask, branch));
    else if (bit > 0)
      allow_all_but(to, name, argument, refused, branch, bit - 1);
  }
}

/// The rules know ioctl as allowed; a later rule for some of its arguments would mean nothing beside that.
class without_ioctl final : public rule_sink {
public:
  explicit without_ioctl(rule_sink& to)
      : to_(to) {}
  void add(std::uint32_t action, const char* name, std::span<const scmp_arg_cmp> conditions) override {
    if (std::string_view{name} != "ioctl")
      to_.add(action, name, conditions);
  }

private:
  rule_sink& to_;
};

} // namespace

std::string seccomp_profile() {
  profile_builder profile;
  without_ioctl rest{profile};
  add_seccomp_rules(rest);
  allow_all_but(profile, "ioctl", 1, refused_terminal_requests);
  // Said beside the default, which not every engine passes on: libc takes another answer than ENOSYS for an
  // error.
  profile.rule(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  return json{{"defaultAction", "SCMP_ACT_ERRNO"}, {"defaultErrnoRet", ENOSYS}, {"syscalls", profile.take()}}
      .dump();
}

} // namespace sandy::runtime
