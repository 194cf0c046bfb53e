#include "guest/process_tree.hpp"

#include "runtime/unique_fd.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace sandy::guest {
namespace {

struct process_line {
  pid_t pid = 0, parent = 0, session = 0;
};

/// Parses "PID (NAME) STATE PPID PGRP SESSION ...". The name may contain anything, so fields count from its
/// last ')'.
bool parse_stat(std::string_view text, process_line& line) {
  auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 4 >= text.size())
    return false;
  const char* at = text.data() + name_end + 4; // past ") S "
  const char* end = text.data() + text.size();
  pid_t numbers[3] = {};
  for (auto& number : numbers) {
    auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{})
      return false;
    at = next + 1;
  }
  line.parent = numbers[0];
  line.session = numbers[2];
  return true;
}

std::vector<process_line> all_processes() {
  std::vector<process_line> out;
  DIR* proc = ::opendir("/proc");
  if (!proc)
    return out;
  while (auto* item = ::readdir(proc)) {
    process_line line;
    auto* name_end = item->d_name + std::strlen(item->d_name);
    auto [rest, error] = std::from_chars(item->d_name, name_end, line.pid);
    if (error != std::errc{} || rest != name_end)
      continue;
    char path[32] = {};
    std::memcpy(path, item->d_name, static_cast<std::size_t>(name_end - item->d_name));
    std::memcpy(path + (name_end - item->d_name), "/stat", 5);
    runtime::unique_fd file{::openat(::dirfd(proc), path, O_RDONLY | O_CLOEXEC)};
    char text[512];
    auto count = file ? ::read(file.get(), text, sizeof text) : -1;
    if (count > 0 && parse_stat({text, static_cast<std::size_t>(count)}, line))
      out.push_back(line);
  }
  ::closedir(proc);
  return out;
}

/// Adds what belongs to the tree and was not in it. @return true when there was something new.
bool grow(std::vector<pid_t>& tree, pid_t root) {
  auto processes = all_processes();
  auto known = tree.size();
  auto has = [&tree](pid_t pid) { return std::find(tree.begin(), tree.end(), pid) != tree.end(); };
  for (bool more = true; more;) {
    more = false;
    for (const auto& line : processes) {
      if (line.pid == ::getpid() || has(line.pid) || (line.session != root && !has(line.parent)))
        continue;
      tree.push_back(line.pid);
      more = true;
    }
  }
  return tree.size() > known;
}

/// Stops everything that belongs to the tree until nothing new appears. Each round sees the children that
/// were forked before their parent stopped; a tree that still grows after this many rounds is cut where it
/// is.
void stop_all(std::vector<pid_t>& tree, pid_t root) {
  for (int round = 0; round < 64; ++round) {
    auto known = static_cast<std::ptrdiff_t>(tree.size());
    if (!grow(tree, root))
      break;
    std::for_each(tree.begin() + known, tree.end(), [](pid_t pid) { ::kill(pid, SIGSTOP); });
  }
}

} // namespace

void signal_tree(pid_t root, int signal) {
  std::vector<pid_t> tree{root};
  if (signal == SIGKILL) {
    ::kill(root, SIGSTOP);
    stop_all(tree, root);
  } else {
    grow(tree, root);
  }
  // Leaves first: a shell that sees its child die must not start the next command.
  std::for_each(tree.rbegin(), tree.rend(), [signal](pid_t pid) { ::kill(pid, signal); });
}

bool kill_session(pid_t leader) {
  auto processes = all_processes();
  auto is_leader = [leader](const process_line& line) { return line.pid == leader; };
  auto is_member = [leader](const process_line& line) { return line.session == leader; };
  if (std::any_of(processes.begin(), processes.end(), is_leader) ||
      std::none_of(processes.begin(), processes.end(), is_member))
    return false;
  std::vector<pid_t> tree;
  stop_all(tree, leader);
  std::for_each(tree.rbegin(), tree.rend(), [](pid_t pid) { ::kill(pid, SIGKILL); });
  return true;
}

void kill_descendants() {
  std::vector<pid_t> tree{::getpid()};
  stop_all(tree, ::getpid());
  std::for_each(tree.begin() + 1, tree.end(), [](pid_t pid) { ::kill(pid, SIGKILL); });
}

} // namespace sandy::guest
