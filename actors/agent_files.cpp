#include "actors/agent_files.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace sandy {

namespace {

/// Beyond, a run that writes that many files is no longer told file by file.
constexpr std::size_t most_names = 1000;
constexpr std::size_t most_pending = 1000;

/// Directories that tools fill and people do not read.
constexpr std::array<std::string_view, 9> caches{"node_modules", ".git",          "__pycache__",
                                                 ".cache",       ".npm",          ".vite",
                                                 ".venv",        ".pytest_cache", ".mypy_cache"};

bool of_no_interest(std::string_view path) {
  while (!path.empty()) {
    auto end = path.find('/');
    if (std::find(caches.begin(), caches.end(), path.substr(0, end)) != caches.end())
      return true;
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  }
  return false;
}

} // namespace

void agent_files::expect(std::vector<std::string> names) {
  before_ = {std::make_move_iterator(names.begin()), std::make_move_iterator(names.end())};
}

void agent_files::note(const watch_event& event) {
  if (event.directory)
    return;
  if (event.kind == "deleted")
    remove(event.path);
  if (event.kind == "moved" && !event.from.empty()) // editors write a new file and move it over the old one
    remove(event.from);
  if (event.kind == "created" || event.kind == "modified" || event.kind == "moved")
    add(event.path);
}

void agent_files::add(const std::string& path) {
  if (of_no_interest(path))
    return;
  if (seen_.size() < most_names ? seen_.insert(path).second
                                : !seen_.contains(path) && !pending_.contains(path))
    ++total_;
  if (pending_.size() < most_pending)
    pending_.insert(path);
}

/// It is gone: what only came to go is no news. That a file of before is gone is not told, either.
void agent_files::remove(const std::string& path) {
  pending_.erase(path);
  if (seen_.erase(path) > 0)
    --total_;
}

std::vector<agent_files::change> agent_files::take(std::size_t most) {
  std::vector<change> taken;
  while (!pending_.empty() && taken.size() < most) {
    auto path = std::move(pending_.extract(pending_.begin()).value());
    auto created = !before_.contains(path);
    before_.insert(path);
    taken.push_back({std::move(path), created});
  }
  return taken;
}

std::vector<std::string> agent_files::names() const { return {seen_.begin(), seen_.end()}; }

} // namespace sandy
