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

using runtime::unique_fd;

namespace {

struct process_line {
  pid_t pid = 0, parent = 0, session = 0;
  bool marked = false;
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
    unique_fd file{::openat(::dirfd(proc), path, O_RDONLY | O_CLOEXEC)};
    char text[512];
    auto count = file ? ::read(file.get(), text, sizeof text) : -1;
    if (count > 0 && parse_stat({text, static_cast<std::size_t>(count)}, line))
      out.push_back(line);
  }
  ::closedir(proc);
  return out;
}

/// More than an execve takes, in case that a process made its own look larger.
constexpr std::size_t most_environment = 4 * 1024 * 1024;

/// Whether this variable is in the environment that a process was started with.
bool has_variable(pid_t pid, std::string_view variable) {
  unique_fd file{::open(("/proc/" + std::to_string(pid) + "/environ").c_str(), O_RDONLY | O_CLOEXEC)};
  std::string text{'\0'};
  char piece[16384];
  while (file && text.size() < most_environment) {
    auto count = ::read(file.get(), piece, sizeof piece);
    if (count <= 0)
      break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  text += '\0';
  return text.find('\0' + std::string{variable} + '\0') != std::string::npos;
}

/// What is searched for: a process, its descendants and its session, and whatever has the mark.
struct tree_of {
  pid_t root;
  const std::string& mark;
};

/// Adds what belongs to the tree and was not in it. @return true when there was something new.
bool grow(std::vector<pid_t>& tree, const tree_of& of) {
  auto processes = all_processes();
  if (!of.mark.empty())
    for (auto& line : processes)
      line.marked = line.pid != ::getpid() && has_variable(line.pid, of.mark);
  auto known = tree.size();
  auto has = [&tree](pid_t pid) { return std::find(tree.begin(), tree.end(), pid) != tree.end(); };
  for (bool more = true; more;) {
    more = false;
    for (const auto& line : processes) {
      if (line.pid == ::getpid() || has(line.pid))
        continue;
      if (line.session != of.root && !has(line.parent) && !line.marked)
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
void stop_all(std::vector<pid_t>& tree, const tree_of& of) {
  for (int round = 0; round < 64; ++round) {
    auto known = static_cast<std::ptrdiff_t>(tree.size());
    if (!grow(tree, of))
      break;
    std::for_each(tree.begin() + known, tree.end(), [](pid_t pid) { ::kill(pid, SIGSTOP); });
  }
}

} // namespace

void signal_tree(pid_t root, int signal, const std::string& mark) {
  std::vector<pid_t> tree;
  if (root > 0)
    tree.push_back(root);
  // Nobody's session has the number of one that is gone.
  const tree_of of{root > 0 ? root : -1, mark};
  if (signal == SIGKILL) {
    if (root > 0)
      ::kill(root, SIGSTOP);
    stop_all(tree, of);
  } else {
    grow(tree, of);
  }
  // Leaves first: a shell that sees its child die must not start the next command.
  std::for_each(tree.rbegin(), tree.rend(), [signal](pid_t pid) { ::kill(pid, signal); });
}

void kill_descendants() {
  std::vector<pid_t> tree{::getpid()};
  const std::string no_mark;
  stop_all(tree, {::getpid(), no_mark});
  std::for_each(tree.begin() + 1, tree.end(), [](pid_t pid) { ::kill(pid, SIGKILL); });
}

} // namespace sandy::guest
