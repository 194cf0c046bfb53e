#include "runtime/crun/layer_store.hpp"

#include "runtime/crun/layout.hpp"
#include "runtime/files.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <filesystem>

namespace sandy::runtime {

namespace {

/// Of the disk's space, what layers leave to everything else: one part in this many.
constexpr std::uint64_t spared_part = 20;

caf::error missing() {
  return fail(errc::image_not_found, "what this image is made from is not there any more");
}

caf::error too_many() {
  return fail(errc::conflict,
              "an image can have at most " + std::to_string(most_layers) + " layers above its base");
}

} // namespace

result<void> write_origin(const std::string& path, const origin& from) {
  return write_new_file(path, nlohmann::json{{"image", from.image}, {"layer", from.top.value}}.dump());
}

result<origin> read_origin(const std::string& path) {
  auto parsed = nlohmann::json::parse(read_small_file(path).value_or(""), nullptr, false);
  origin read;
  auto text = [&](const char* key, std::string& into) {
    auto found = parsed.is_object() ? parsed.find(key) : parsed.end();
    if (found == parsed.end() || !found->is_string())
      return false;
    into = found->get<std::string>();
    return true;
  };
  if (!text("image", read.image) || !text("layer", read.top.value))
    return fail(errc::sandbox_failed, "it is not known what the sandbox was made from");
  return read;
}

std::string layers_directory(const std::string& data_dir) { return data_dir + "/layers"; }

layer_store::layer_store(const std::string& data_dir, const image_store& images)
    : directory_(layers_directory(data_dir))
    , images_(images) {}

result<origin> layer_store::find(const std::string& image, const layer_id& top) const {
  if (!top.value.empty()) {
    if (!is_layer_id(top.value))
      return missing();
    auto below = read_origin(directory(top) + "/origin.json");
    if (!below)
      return missing();
    return origin{std::move(below->image), top};
  }
  auto found = images_.find(image);
  if (!found)
    return std::move(found.error());
  return origin{found->version, {}};
}

result<std::vector<std::string>> layer_store::above(const origin& from) const {
  std::vector<std::string> all;
  for (auto layer = from.top; !layer.value.empty();) {
    auto below = read_origin(directory(layer) + "/origin.json");
    if (!below)
      return missing();
    if (all.size() == most_layers)
      return too_many();
    all.push_back(directory(layer) + "/tree");
    layer = std::move(below->top);
  }
  return all;
}

result<std::vector<std::string>> layer_store::trees(const origin& from) const {
  auto layers = above(from);
  if (!layers)
    return std::move(layers.error());
  auto all = images_.trees(from.image);
  if (!all)
    return std::move(all.error());
  all->insert(all->end(), layers->rbegin(), layers->rend());
  return all;
}

result<void> layer_store::has_room_above(const origin& from) const {
  auto layers = above(from);
  if (!layers)
    return std::move(layers.error());
  if (layers->size() == most_layers)
    return too_many();
  return caf::unit;
}

layer_store::making::making(const layer_store& store, layer_id id)
    : store_(store)
    , id_(std::move(id)) {}

layer_store::making::~making() {
  if (begun_)
    static_cast<void>(store_.remove(id_)); // what stays is found by `list`
}

result<void> layer_store::making::begin() {
  if (!is_layer_id(id_.value))
    return fail(errc::invalid_argument, "not the id of a layer");
  auto path = store_.directory(id_);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST)
      return fail(errc::conflict, "a layer of this id exists");
    return system_failure("cannot create a layer");
  }
  begun_ = true;
  if (::mkdir(tree().c_str(), 0755) != 0)
    return system_failure("cannot create a layer");
  return caf::unit;
}

std::string layer_store::making::tree() const { return store_.directory(id_) + "/tree"; }

result<void> layer_store::making::finish(const origin& below) {
  auto written = write_origin(store_.directory(id_) + "/origin.json", below);
  if (written)
    begun_ = false;
  return written;
}

result<void> layer_store::remove(const layer_id& id) const {
  if (!is_layer_id(id.value))
    return fail(errc::invalid_argument, "not the id of a layer");
  std::error_code error;
  std::filesystem::remove(directory(id) + "/origin.json", error); // first: half of a layer is none
  if (!error)
    std::filesystem::remove_all(directory(id), error);
  if (error)
    return fail(errc::internal, "cannot remove a layer: " + error.message());
  return caf::unit;
}

std::vector<layer_id> layer_store::list() const {
  std::vector<layer_id> ids;
  for (auto& name : directories_in(directory_))
    if (is_layer_id(name))
      ids.push_back({std::move(name)});
  return ids;
}

result<void> layer_store::has_space_for(std::uint64_t bytes) const {
  struct statvfs about{};
  if (::statvfs(directory_.c_str(), &about) != 0)
    return system_failure("cannot ask for the space on the disk");
  auto available = about.f_bavail * about.f_frsize, spared = about.f_blocks * about.f_frsize / spared_part;
  if (bytes + spared > available)
    return fail(errc::capacity_exhausted, "there is no space left for snapshots");
  return caf::unit;
}

} // namespace sandy::runtime
