#include "guest/user.hpp"

#include "runtime/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

namespace sandy::guest {

namespace {

constexpr std::size_t most_bytes = 1024 * 1024;
constexpr std::size_t most_groups = 256;
constexpr std::uint32_t ids = 65'536;

/// The text up to a separator; `rest` is what follows it.
std::string_view take(std::string_view& rest, char separator) {
  auto part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(part.size() < rest.size() ? part.size() + 1 : part.size());
  return part;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value >= ids)
    return std::nullopt;
  return value;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct passwd_line {
  std::string_view name, home;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The first line that is of this user: by name, or by number.
std::optional<passwd_line> find_user(std::string_view passwd, std::string_view wanted) {
  while (!passwd.empty()) {
    auto line = take(passwd, '\n');
    passwd_line found;
    found.name = take(line, ':');
    take(line, ':'); // the password
    auto uid = number(take(line, ':')), gid = number(take(line, ':'));
    take(line, ':'); // the person
    found.home = take(line, ':');
    if (!uid || !gid || found.name.empty())
      continue;
    found.uid = *uid;
    found.gid = *gid;
    if (found.name == wanted || (is_number(wanted) && number(wanted) == uid))
      return found;
  }
  return std::nullopt;
}

/// Calls with each group: its name, its id, and its members.
template <class F>
void each_group(std::string_view group, F call) {
  while (!group.empty()) {
    auto line = take(group, '\n');
    auto name = take(line, ':');
    take(line, ':'); // the password
    if (auto gid = number(take(line, ':')); gid && !name.empty())
      call(name, *gid, take(line, ':'));
  }
}

bool is_member(std::string_view members, std::string_view name) {
  while (!members.empty())
    if (take(members, ',') == name)
      return true;
  return false;
}

std::string content_of(const char* path) {
  runtime::unique_fd file{::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  std::string text;
  char piece[4096];
  while (file && text.size() < most_bytes) {
    auto count = ::read(file.get(), piece, sizeof piece);
    if (count <= 0)
      break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  return text;
}

} // namespace

std::optional<credentials> credentials_of(std::string_view wanted, std::string_view passwd,
                                          std::string_view group) {
  auto named_group = wanted;
  auto named_user = take(named_group, ':');
  if (named_user.empty())
    named_user = "0";
  credentials found;
  auto user = find_user(passwd, named_user);
  if (user) {
    found.uid = user->uid;
    found.gid = user->gid;
    found.home = std::string{user->home};
  } else if (auto uid = is_number(named_user) ? number(named_user) : std::nullopt) {
    found.uid = *uid;
  } else {
    return std::nullopt;
  }
  if (named_group.empty()) {
    if (user)
      each_group(group, [&](std::string_view, gid_t gid, std::string_view members) {
        if (found.groups.size() < most_groups && gid != found.gid && is_member(members, user->name))
          found.groups.push_back(gid);
      });
    return found;
  }
  std::optional<gid_t> gid;
  each_group(group, [&](std::string_view name, gid_t id, std::string_view) {
    if (!gid && name == named_group)
      gid = id;
  });
  if (!gid && is_number(named_group))
    gid = number(named_group);
  if (!gid)
    return std::nullopt;
  found.gid = *gid;
  return found;
}

std::optional<credentials> credentials_of(const std::string& wanted) {
  return credentials_of(wanted, content_of("/etc/passwd"), content_of("/etc/group"));
}

} // namespace sandy::guest
