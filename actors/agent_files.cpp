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

/// Removes the names below a directory from a set. @return them
std::vector<std::string> take_below(std::set<std::string>& names, const std::string& directory) {
  std::vector<std::string> taken;
  for (auto at = names.lower_bound(directory + '/'); at != names.end() && at->starts_with(directory + '/');)
    taken.push_back(std::move(names.extract(at++).value()));
  return taken;
}

} // namespace

void agent_files::expect(std::vector<std::string> names) {
  before_ = {std::make_move_iterator(names.begin()), std::make_move_iterator(names.end())};
}

void agent_files::note(const watch_event& event) {
  if (event.directory && event.kind == "moved" && !event.from.empty())
    rename_directory(event.from, event.path);
  if (event.directory && event.kind == "deleted")
    remove_directory(event.path);
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

/// What was in it is somewhere else now, and news there.
void agent_files::rename_directory(const std::string& from, const std::string& to) {
  auto moved = take_below(before_, from);
  auto news = take_below(pending_, from);
  moved.insert(moved.end(), std::make_move_iterator(news.begin()), std::make_move_iterator(news.end()));
  remove_directory(from);
  for (const auto& each : moved)
    add(to + each.substr(from.size()));
}

/// It may have gone as a whole: then nobody tells of what was in it.
void agent_files::remove_directory(const std::string& path) {
  take_below(pending_, path);
  total_ -= take_below(seen_, path).size();
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

void agent_files::give_back(const change& untold) {
  if (untold.created)
    before_.erase(untold.path);
  pending_.insert(untold.path);
}

std::vector<std::string> agent_files::names() const { return {seen_.begin(), seen_.end()}; }

} // namespace sandy
