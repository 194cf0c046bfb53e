#include "runtime/image_store.hpp"

#include "messages/image.hpp"
#include "runtime/crun/layout.hpp"
#include "runtime/driver.hpp"
#include "runtime/files.hpp"
#include "runtime/unique_fd.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

namespace sandy::runtime {

namespace {

/// Whether an environment can hold it.
bool is_variable(const std::string& name, const std::string& value) {
  return !name.empty() && name.find('=') == std::string::npos && name.find('\0') == std::string::npos &&
         value.find('\0') == std::string::npos;
}

/// One directory in the store, never a way out of it.
bool is_layer_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
         });
}

/// What an overlay makes of this path in the upper of two trees.
enum class shown { not_here, here, removed };

/// Links on the way are not followed: in a tree that strangers made they may lead anywhere.
shown look_up(const std::string& tree, const std::string& path) {
  unique_fd root{::open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  unique_fd found{static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how))};
  struct stat about{}; // a link means what it does inside: that it is there is enough
  if (!found || ::fstat(found.get(), &about) != 0)
    return shown::not_here;
  return S_ISCHR(about.st_mode) && about.st_rdev == 0 ? shown::removed : shown::here;
}

/// @param trees lowest first.
bool is_program_in(const std::vector<std::string>& trees, const std::string& name) {
  for (const auto* directory : {"usr/local/bin", "usr/bin", "root/.local/bin"})
    for (auto tree = trees.rbegin(); tree != trees.rend(); ++tree) {
      auto seen = look_up(*tree, std::string{directory} + "/" + name);
      if (seen == shown::here)
        return true;
      if (seen == shown::removed)
        break; // whatever lies below
    }
  return false;
}

/// A list of words; empty when it is anything else.
std::vector<std::string> words_in(const nlohmann::json& config, const char* name) {
  auto given = config.find(name);
  if (given == config.end() || !given->is_array())
    return {};
  std::vector<std::string> words;
  for (const auto& each : *given) {
    if (!each.is_string() || each.get_ref<const std::string&>().find('\0') != std::string::npos)
      return {};
    words.push_back(each.get<std::string>());
  }
  return words;
}

} // namespace

image_store::image_store(std::string directory)
    : directory_(std::move(directory)) {}

bool image_store::complete(const std::string& name) const {
  std::error_code ignored;
  auto base = directory_ + "/" + name;
  return std::filesystem::is_regular_file(base + "/image.json", ignored) &&
         std::filesystem::is_directory(base + "/rootfs", ignored);
}

result<image> image_store::find(std::string_view name) const {
  std::string text{name};
  if (!is_image_name(name) || !complete(text))
    return fail(errc::image_not_found, "no image has this name");
  auto rootfs = directory_ + "/" + text + "/rootfs";
  // Names are links to versions: whoever stacks on a tree must find that one again.
  std::error_code error;
  auto version = std::filesystem::relative(rootfs, directory_, error); // resolves links
  if (error)
    return fail(errc::image_not_found, "no image has this name");
  return image{text, std::move(rootfs), version.string()};
}

std::optional<image_store::description> image_store::describe(const std::string& version) const {
  std::lock_guard guard{mutex_};
  if (auto known = descriptions_.find(version); known != descriptions_.end())
    return known->second;
  auto about = std::filesystem::path{directory_ + "/" + version}.parent_path() / "image.json";
  std::ifstream file{about};
  auto parsed = nlohmann::json::parse(file, nullptr, false);
  if (!parsed.is_object())
    return std::nullopt; // it may be readable the next time
  description found;
  if (auto given = parsed.find("environment"); given != parsed.end() && given->is_object())
    for (const auto& [name, value] : given->items())
      if (value.is_string() && is_variable(name, value.get_ref<const std::string&>()))
        found.variables.emplace_back(name, value.get<std::string>());
  if (auto given = parsed.find("layers"); given != parsed.end()) {
    if (!given->is_array() || given->size() >= most_image_trees)
      return std::nullopt;
    for (const auto& each : *given) {
      if (!each.is_string() || !is_layer_name(each.get_ref<const std::string&>()))
        return std::nullopt;
      found.layers.push_back(each.get<std::string>());
    }
  }
  auto text = [&](const char* name) {
    auto given = parsed.find(name);
    return given != parsed.end() && given->is_string() ? given->get<std::string>() : std::string{};
  };
  found.digest = text("digest");
  if (auto directory = text("working_directory");
      directory.starts_with('/') && directory.find('\0') == std::string::npos)
    found.working_directory = std::move(directory);
  if (auto given = parsed.find("size_bytes"); given != parsed.end() && given->is_number_unsigned())
    found.size_bytes = given->get<std::uint64_t>();
  if (auto given = parsed.find("imported"); given != parsed.end())
    found.imported = *given == true;
  if (auto given = parsed.find("config"); given != parsed.end() && given->is_object()) {
    found.entrypoint = words_in(*given, "Entrypoint");
    found.command = words_in(*given, "Cmd");
    if (auto user = given->find("User"); user != given->end() && user->is_string())
      found.user = user->get<std::string>();
  }
  return descriptions_.emplace(version, std::move(found)).first->second;
}

result<std::vector<std::string>> image_store::trees(const std::string& version) const {
  auto gone = [] { return fail(errc::image_not_found, "this version of the image is not there any more"); };
  if (version.empty())
    return gone();
  auto about = describe(version);
  if (!about)
    return gone();
  std::vector<std::string> all;
  for (const auto& layer : about->layers)
    all.push_back(directory_ + "/" + layer + "/tree");
  all.push_back(directory_ + "/" + version);
  std::error_code ignored;
  for (const auto& tree : all)
    if (!std::filesystem::is_directory(tree, ignored))
      return gone();
  return all;
}

environment image_store::variables(const std::string& version) const {
  auto about = describe(version);
  return about ? std::move(about->variables) : environment{};
}

std::string image_store::working_directory(const std::string& version) const {
  auto about = describe(version);
  return about ? std::move(about->working_directory) : std::string{};
}

result<image_program> image_store::program_of(std::string_view name) const {
  auto found = find(name);
  if (!found)
    return std::move(found.error());
  auto about = describe(found->version);
  if (!about)
    return fail(errc::image_not_found, "no image has this name");
  return image_program{std::move(about->entrypoint), std::move(about->command), std::move(about->user)};
}

result<installed_image> image_store::describe_image(const std::string& name) const {
  auto found = find(name);
  if (!found)
    return std::move(found.error());
  auto made_at = changed_at(name);
  auto about = describe(found->version);
  if (!made_at || !about)
    return fail(errc::image_not_found, "no image has this name");
  installed_image all{name, *made_at, about->size_bytes, about->imported, std::move(about->digest), {}};
  constexpr std::string_view prefix = ".layer-", by_content = "sha256-";
  for (const auto& layer : about->layers) {
    auto shown = layer.starts_with(prefix) ? layer.substr(prefix.size()) : layer;
    if (shown.starts_with(by_content))
      shown[by_content.size() - 1] = ':';
    all.layers.push_back(std::move(shown));
  }
  return all;
}

void image_store::add_user(const std::string& name, const std::string& data_dir) const {
  std::error_code ignored;
  std::filesystem::create_directories(directory_ + "/.users", ignored);
  std::filesystem::create_directory_symlink(data_dir, directory_ + "/.users/" + name,
                                            ignored); // may be there
}

void image_store::remove_user(const std::string& name) const {
  std::error_code ignored;
  std::filesystem::remove(directory_ + "/.users/" + name, ignored);
}

result<unix_millis> image_store::changed_at(std::string_view name) const {
  auto found = find(name);
  if (!found)
    return std::move(found.error());
  struct stat about{};
  if (::stat((directory_ + "/" + found->name + "/image.json").c_str(), &about) != 0)
    return fail(errc::image_not_found, "no image has this name");
  return about.st_mtim.tv_sec * 1000 + about.st_mtim.tv_nsec / 1'000'000;
}

std::vector<std::string> image_store::list() const {
  auto names = directories_in(directory_);
  std::erase_if(names, [this](const std::string& name) { return !is_image_name(name) || !complete(name); });
  std::sort(names.begin(), names.end());
  return names;
}

bool image_store::has_program(const std::string& name) const {
  auto images = list();
  return std::any_of(images.begin(), images.end(), [&](const std::string& each) {
    auto found = find(each);
    return found && has_program(name, found->version); // else it is replaced at this moment
  });
}

bool image_store::has_program(const std::string& name, const std::string& version) const {
  if (name.empty() || name.find('/') != std::string::npos)
    return false;
  {
    std::lock_guard guard{mutex_};
    if (auto known = programs_.find({version, name}); known != programs_.end())
      return known->second;
  }
  auto stacked = trees(version);
  if (!stacked)
    return false;
  auto found = is_program_in(*stacked, name);
  std::lock_guard guard{mutex_};
  programs_.emplace(std::pair{version, name}, found);
  return found;
}

} // namespace sandy::runtime
