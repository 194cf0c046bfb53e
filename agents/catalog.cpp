#include "agents/catalog.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>

namespace sandy::agents {

namespace {

namespace fs = std::filesystem;

result<std::vector<fs::path>> files_of(const std::string& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed))
    if (entry->path().extension() == ".toml")
      found.push_back(entry->path());
  if (failed)
    return fail(errc::internal, "cannot read the agents' definitions in " + folder + ": " + failed.message());
  std::sort(found.begin(), found.end());
  return found;
}

result<definition> read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad())
    return fail(errc::internal, "cannot read the agent's definition " + path.string());
  return parse_definition(text, path.stem().string(), path.string());
}

} // namespace

result<catalog> catalog::load(const std::string& folder) {
  auto files = files_of(folder);
  if (!files)
    return std::move(files.error());
  catalog made;
  std::map<std::string, std::string> taken; // whose file has which name
  for (const auto& path : *files) {
    auto one = read(path);
    if (!one)
      return std::move(one.error());
    auto names = one->aliases;
    names.push_back(one->id);
    for (const auto& name : names)
      if (auto [owner, is_new] = taken.emplace(name, path.string()); !is_new)
        return fail(errc::invalid_argument,
                    path.string() + ": the name \"" + name + "\" is taken by " + owner->second);
    made.definitions_.push_back(std::move(*one));
  }
  std::sort(made.definitions_.begin(), made.definitions_.end(),
            [](const definition& a, const definition& b) { return a.id < b.id; });
  return made;
}

const definition* catalog::find(std::string_view name) const noexcept {
  for (const auto& one : definitions_)
    if (one.id == name || std::find(one.aliases.begin(), one.aliases.end(), name) != one.aliases.end())
      return &one;
  return nullptr;
}

} // namespace sandy::agents
