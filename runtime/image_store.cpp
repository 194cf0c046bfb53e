#include "runtime/image_store.hpp"

#include "messages/image.hpp"
#include "runtime/files.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sandy::runtime {

namespace {

/// Whether an environment can hold it.
bool is_variable(const std::string& name, const std::string& value) {
  return !name.empty() && name.find('=') == std::string::npos && name.find('\0') == std::string::npos &&
         value.find('\0') == std::string::npos;
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

result<std::string> image_store::tree(std::string_view version) const {
  auto path = directory_ + "/" + std::string{version};
  std::error_code ignored;
  if (version.empty() || !std::filesystem::is_directory(path, ignored))
    return fail(errc::image_not_found, "this version of the image is not there any more");
  return path;
}

environment image_store::variables(const std::string& version) const {
  std::lock_guard guard{mutex_};
  if (auto known = variables_.find(version); known != variables_.end())
    return known->second;
  auto about = std::filesystem::path{directory_ + "/" + version}.parent_path() / "image.json";
  std::ifstream file{about};
  auto parsed = nlohmann::json::parse(file, nullptr, false);
  if (!parsed.is_object())
    return {}; // it may be readable the next time
  environment found;
  if (auto given = parsed.find("environment"); given != parsed.end() && given->is_object())
    for (const auto& [name, value] : given->items())
      if (value.is_string() && is_variable(name, value.get_ref<const std::string&>()))
        found.emplace_back(name, value.get<std::string>());
  return variables_.emplace(version, std::move(found)).first->second;
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
  if (name.empty() || name.find('/') != std::string::npos)
    return false;
  for (const auto& each : list())
    for (const auto* directory : {"usr/local/bin", "usr/bin", "root/.local/bin"}) {
      struct stat about{}; // a link means what it does inside: that it is there is enough
      if (::lstat((directory_ + "/" + each + "/rootfs/" + directory + "/" + name).c_str(), &about) == 0)
        return true;
    }
  return false;
}

} // namespace sandy::runtime
