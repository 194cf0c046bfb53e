#include "runtime/oci/published_images.hpp"

#include "messages/image.hpp"
#include "runtime/crun/layer_store.hpp"
#include "runtime/files.hpp"
#include "runtime/oci/image_document.hpp"
#include "runtime/oci/import_image.hpp"
#include "runtime/oci/sha256.hpp"
#include "runtime/remove_tree.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>

namespace sandy::runtime::oci {

namespace {

using nlohmann::json;

constexpr std::string_view layer_prefix = ".layer-sha256-";
constexpr std::string_view staging_prefix = ".import-";
constexpr std::string_view removing_prefix = ".removing-";
constexpr std::string_view naming_prefix = ".naming-";
constexpr std::size_t most_description_bytes = 16 << 20;
/// For rm(1), of a tree of a million files.
constexpr auto removal_patience = std::chrono::minutes{10};

std::string random_name() {
  unsigned char bytes[8];
  static_cast<void>(!::getrandom(bytes, sizeof bytes, 0));
  std::string text;
  for (auto byte : bytes)
    text.append({"0123456789abcdef"[byte & 15], "0123456789abcdef"[byte >> 4]});
  return text;
}

void remove_in_time(const std::string& path) {
  // What stays is removed by the next sweep.
  static_cast<void>(remove_tree(path, std::chrono::steady_clock::now() + removal_patience));
}

json parsed(const std::string& text) { return json::parse(text, nullptr, false); }

/// Opens below a directory that a confined process could write to: no link is followed.
unique_fd open_below(int directory, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return unique_fd{static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how))};
}

unique_fd open_directory(const std::string& path) {
  return unique_fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

result<void> write_new(int directory, const char* name, const std::string& text) {
  unique_fd file{::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0)
    return system_failure("cannot describe the image");
  return caf::unit;
}

/// Which version the name of an image means: ".<name>-<digest>".
std::string current_version(const std::string& store, const std::string& name) {
  std::error_code none;
  auto link = std::filesystem::read_symlink(store + "/" + name + "/rootfs", none);
  return none ? std::string{} : link.parent_path().filename().string();
}

std::string layer_directory(const std::string& diff_id) { return std::string{layer_prefix} + diff_id; }

} // namespace

staging::~staging() { remove_in_time(directory_); }

result<unique_fd> published_images::lock() const {
  unique_fd file{::open(path(".imports").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file || ::flock(file.get(), LOCK_EX) != 0)
    return system_failure("cannot lock the image store");
  return file;
}

json published_images::description(const std::string& of) const {
  return parsed(read_small_file(path(of) + "/image.json", most_description_bytes).value_or(""));
}

bool published_images::is_imported(const std::string& name) const {
  return is_image_name(name) && is_imported_document(description(name));
}

result<std::unique_ptr<staging>> published_images::stage() const {
  auto held = lock();
  if (!held)
    return std::move(held.error());
  auto directory = path(std::string{staging_prefix} + random_name());
  if (::mkdir(directory.c_str(), 0700) != 0)
    return system_failure("cannot make a place for the image");
  unique_fd file{::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  auto made = std::make_unique<staging>(directory, std::move(file));
  if (made->lock() < 0 || ::flock(made->lock(), LOCK_EX | LOCK_NB) != 0 ||
      ::mkdir((directory + "/root").c_str(), 0700) != 0)
    return system_failure("cannot make a place for the image");
  std::string known;
  for (const auto& name : directories_in(directory_))
    if (name.starts_with(layer_prefix))
      known.append(name, layer_prefix.size()).append("\n");
  if (auto written = write_new_file(directory + "/known", known); !written)
    return std::move(written.error());
  return made;
}

result<void> published_images::publish(const staging& from, const std::string& name) const {
  auto held = lock();
  if (!held)
    return std::move(held.error());
  if (::access((path(name) + "/image.json").c_str(), F_OK) == 0 && !is_imported(name))
    return fail(errc::conflict, "An image of this name was built here");
  auto store = open_directory(directory_), work = open_directory(from.directory());
  auto root = open_below(work.get(), "root", O_RDONLY | O_DIRECTORY);
  auto outcome = read_import(root.get());
  if (!outcome)
    return std::move(outcome.error());
  std::uint64_t bytes = 0, inodes = 0;
  json names = json::array();
  for (const auto& layer : outcome->layers) {
    auto directory = layer_directory(layer.diff_id);
    if (::access(path(directory).c_str(), F_OK) != 0) {
      auto made = open_below(root.get(), "layers/" + layer.diff_id, O_RDONLY | O_DIRECTORY);
      auto parent = open_below(root.get(), "layers", O_RDONLY | O_DIRECTORY);
      if (!made || !parent || !open_below(made.get(), "tree", O_RDONLY | O_DIRECTORY))
        return system_failure("cannot find a layer that was unpacked");
      json about{{"size_bytes", layer.size_bytes}, {"inodes", layer.inodes}};
      if (auto written = write_new(made.get(), "layer.json", about.dump()); !written)
        return written;
      // On the machine, nobody but root has business with what strangers made.
      if (::fchmod(made.get(), 0700) != 0 ||
          ::renameat(parent.get(), layer.diff_id.c_str(), store.get(), directory.c_str()) != 0)
        return system_failure("cannot publish a layer");
    }
    auto about = parsed(read_small_file(path(directory) + "/layer.json").value_or(""));
    bytes += about.is_object() ? about.value("size_bytes", std::uint64_t{0}) : 0;
    inodes += about.is_object() ? about.value("inodes", std::uint64_t{0}) : 0;
    names.push_back(std::move(directory));
  }
  auto version = "." + name + "-" + outcome->digest.substr(outcome->digest.find(':') + 1, 16);
  if (::access((path(version) + "/image.json").c_str(), F_OK) != 0) {
    auto made = from.directory() + "/version";
    if (::mkdir(made.c_str(), 0755) != 0 || ::mkdir((made + "/rootfs").c_str(), 0755) != 0)
      return system_failure("cannot make a version of the image");
    auto document = image_document(name, *outcome, std::move(names), bytes, inodes);
    auto opened = open_directory(made);
    if (auto written = write_new(opened.get(), "image.json", document.dump(2)); !written)
      return written;
    if (::rename(made.c_str(), path(version).c_str()) != 0)
      return system_failure("cannot publish the image");
  }
  // Servers take its age for when it became current: what they keep warm of another version is older.
  ::utimensat(store.get(), (version + "/image.json").c_str(), nullptr, 0);
  auto link = path(std::string{naming_prefix} + random_name());
  if ((::mkdir(path(name).c_str(), 0755) != 0 && errno != EEXIST) ||
      (::symlink("rootfs/../image.json", (path(name) + "/image.json").c_str()) != 0 && errno != EEXIST) ||
      ::symlink(("../" + version + "/rootfs").c_str(), link.c_str()) != 0 ||
      ::rename(link.c_str(), (path(name) + "/rootfs").c_str()) != 0)
    return system_failure("cannot give the image its name");
  return caf::unit;
}

result<void> published_images::remove(const std::string& name) const {
  {
    auto held = lock();
    if (!held)
      return std::move(held.error());
    if (!is_image_name(name) || ::access((path(name) + "/image.json").c_str(), F_OK) != 0)
      return fail(errc::image_not_found, "There is no image of this name");
    if (!is_imported(name))
      return fail(errc::forbidden, "This image was built here");
    // The first step is the one that counts: without a tree the name means nothing.
    if (::unlink((path(name) + "/rootfs").c_str()) != 0)
      return system_failure("cannot remove the image");
    ::unlink((path(name) + "/image.json").c_str());
    ::rmdir(path(name).c_str());
  }
  auto aside = take_unneeded();
  return aside ? result<void>{caf::unit} : std::move(aside.error());
}

/// Versions that sandboxes and layers stand on; none when it cannot be told: then all are in use.
std::optional<std::set<std::string>> published_images::versions_in_use() const {
  std::set<std::string> used;
  for (const auto& user : names_in(path(".users"))) {
    std::error_code error;
    auto data = std::filesystem::read_symlink(path(".users/" + user), error);
    if (error || !std::filesystem::is_directory(data, error))
      return std::nullopt;
    for (auto kind : {"/sandboxes/", "/layers/"})
      for (const auto& each : directories_in(data.string() + kind)) {
        auto file = data.string() + kind + each + "/origin.json";
        if (::access(file.c_str(), F_OK) != 0)
          continue; // being made, or gone
        auto from = read_origin(file);
        if (!from && ::access(file.c_str(), F_OK) == 0)
          return std::nullopt;
        if (from)
          used.insert(from->image.substr(0, from->image.find('/')));
      }
  }
  return used;
}

/// Layers that a version has, or that an import counts on.
std::set<std::string> published_images::layers_needed() const {
  std::set<std::string> needed;
  for (const auto& name : directories_in(directory_)) {
    if (name.starts_with(removing_prefix))
      continue;
    if (name.starts_with(staging_prefix)) {
      std::istringstream known{read_small_file(path(name) + "/known", most_description_bytes).value_or("")};
      for (std::string line; std::getline(known, line);)
        needed.insert(layer_directory(line));
      continue;
    }
    auto about = description(name);
    if (auto found = about.is_object() ? about.find("layers") : about.end();
        found != about.end() && found->is_array())
      for (const auto& each : *found)
        if (each.is_string())
          needed.insert(each.get<std::string>());
  }
  return needed;
}

void published_images::set_aside(const std::string& name) const {
  ::rename(path(name).c_str(), path(std::string{removing_prefix} + random_name() + name).c_str());
}

/// Takes versions away that are not what their names mean and that nobody stands on.
void published_images::take_old_versions() const {
  std::vector<std::string> old;
  for (const auto& name : directories_in(directory_)) {
    if (!name.starts_with('.') || name.starts_with(removing_prefix) || name.starts_with(staging_prefix))
      continue;
    auto about = description(name);
    if (is_imported_document(about) && current_version(directory_, about.value("name", "")) != name)
      old.push_back(name);
  }
  if (old.empty())
    return;
  auto used = versions_in_use();
  if (!used)
    return;
  std::erase_if(old, [&](const auto& name) { return used->contains(name); });
  // A sandbox notes what it stands on before it opens that: whoever is not noted when a version has gone from
  // its place will not find it there.
  for (const auto& name : old)
    ::rename(path(name).c_str(), path(std::string{removing_prefix} + name).c_str());
  used = versions_in_use();
  for (const auto& name : old)
    if (!used || used->contains(name))
      ::rename(path(std::string{removing_prefix} + name).c_str(), path(name).c_str());
}

/// Takes what nobody needs away from its place, which is quick. @returns all that was.
result<std::vector<std::string>> published_images::take_unneeded() const {
  auto held = lock();
  if (!held)
    return std::move(held.error());
  for (const auto& name : directories_in(directory_))
    if (name.starts_with(staging_prefix)) {
      unique_fd file{::open((path(name) + "/lock").c_str(), O_RDWR | O_CLOEXEC)};
      if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
        set_aside(name); // whoever worked there was killed
    }
  for (const auto& name : names_in(directory_))
    if (name.starts_with(naming_prefix))
      ::unlink(path(name).c_str());
  take_old_versions();
  auto layers = directories_in(directory_);
  std::erase_if(layers, [](const auto& name) { return !name.starts_with(layer_prefix); });
  auto needed = layers.empty() ? std::set<std::string>{} : layers_needed();
  for (const auto& name : layers)
    if (!needed.contains(name))
      set_aside(name);
  std::vector<std::string> gone;
  for (auto& name : directories_in(directory_))
    if (name.starts_with(removing_prefix))
      gone.push_back(path(name));
  return gone;
}

result<void> published_images::sweep() const {
  auto gone = take_unneeded();
  if (!gone)
    return std::move(gone.error());
  for (const auto& each : *gone)
    remove_in_time(each);
  return caf::unit;
}

} // namespace sandy::runtime::oci
