#include "runtime/oci/image_layout.hpp"

#include "runtime/oci/sha256.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <set>

// OCI image-spec 1.1 (image-layout.md, image-index.md, manifest.md, config.md), and the archives of `docker
// save`.

namespace sandy::runtime::oci {

namespace {

using nlohmann::json;

/// Indexes in indexes.
constexpr int deepest_index = 4;
constexpr std::size_t most_manifests = 1000;

caf::error unusable(std::string why) { return fail(errc::invalid_argument, std::move(why)); }

/// The member of that name, null when there is none.
const json& member(const json& object, const char* name) {
  static const json none;
  if (!object.is_object())
    return none;
  auto found = object.find(name);
  return found == object.end() ? none : *found;
}

std::string text_member(const json& object, const char* name) {
  const auto& found = member(object, name);
  return found.is_string() ? found.get<std::string>() : std::string{};
}

/// The hex digits of "sha256:...", empty for anything else.
std::string hex_of(const std::string& digest) {
  constexpr std::string_view kind = "sha256:";
  if (!digest.starts_with(kind) || !is_sha256_hex(std::string_view{digest}.substr(kind.size())))
    return {};
  return digest.substr(kind.size());
}

class finder {
public:
  finder(const archive_files& files, const std::string& architecture, std::size_t most_layers,
         const import_limits& limits)
      : files_(files)
      , architecture_(architecture)
      , most_layers_(most_layers)
      , limits_(limits) {}

  result<image_layout> find() {
    if (const auto* index = files_.find("index.json");
        index != nullptr && files_.find("oci-layout") != nullptr)
      return from_index(*index);
    if (const auto* list = files_.find("manifest.json"))
      return from_docker(*list);
    return unusable("The archive is neither an OCI layout nor one of docker save");
  }

private:
  result<json> document(const archive_files::file& file) {
    auto text = files_.text(file, limits_.document_bytes);
    if (!text)
      return std::move(text.error());
    auto parsed = json::parse(*text, nullptr, false);
    if (parsed.is_discarded())
      return unusable("A document of the image is not JSON");
    return parsed;
  }

  /// What a descriptor stands for, checked.
  result<archive_files::file> blob(const json& descriptor) {
    auto hex = hex_of(text_member(descriptor, "digest"));
    if (hex.empty())
      return unusable("The image names a blob by something else than its SHA-256");
    const auto* file = files_.find("blobs/sha256/" + hex);
    if (file == nullptr)
      return unusable("The archive lacks the blob sha256:" + hex);
    const auto& size = member(descriptor, "size");
    if (file->sha256 != hex || (size.is_number_unsigned() && size.get<std::uint64_t>() != file->size))
      return fail(errc::digest_mismatch, "The blob sha256:" + hex + " has another content");
    return *file;
  }

  /// What is in the blob of a descriptor.
  result<json> document_of(const json& descriptor) {
    auto file = blob(descriptor);
    if (!file)
      return std::move(file.error());
    return document(*file);
  }

  bool is_ours(const std::string& system, const std::string& architecture) const {
    return system == "linux" && architecture == architecture_;
  }

  /// Whether a manifest is of an image for this machine. Attestations and the like are of none.
  result<bool> fits(const json& descriptor) {
    if (const auto& platform = member(descriptor, "platform"); platform.is_object())
      return is_ours(text_member(platform, "os"), text_member(platform, "architecture"));
    auto manifest = document_of(descriptor);
    if (!manifest)
      return std::move(manifest.error());
    auto config = document_of(member(*manifest, "config"));
    if (!config)
      return std::move(config.error());
    return is_ours(text_member(*config, "os"), text_member(*config, "architecture"));
  }

  static bool is_index(const json& descriptor) {
    auto type = text_member(descriptor, "mediaType");
    return type == "application/vnd.oci.image.index.v1+json" ||
           type == "application/vnd.docker.distribution.manifest.list.v2+json";
  }

  /// Adds what fits of an index. Of one image for several machines it is the first: an index below another is
  /// one image.
  result<void> choose(const json& index, int depth, std::vector<json>& chosen) {
    const auto& all = member(index, "manifests");
    if (!all.is_array() || all.size() > most_manifests || depth > deepest_index)
      return unusable("The index of the archive cannot be used");
    for (const auto& each : all) {
      if (is_index(each)) {
        auto below = document_of(each);
        if (!below)
          return std::move(below.error());
        if (auto done = choose(*below, depth + 1, chosen); !done)
          return done;
      } else {
        auto fitting = fits(each);
        if (!fitting)
          return std::move(fitting.error());
        if (!*fitting)
          continue;
        chosen.push_back(each);
        if (depth > 0)
          return caf::unit;
      }
    }
    return caf::unit;
  }

  result<image_layout> from_index(const archive_files::file& file) {
    auto index = document(file);
    if (!index)
      return std::move(index.error());
    std::vector<json> chosen;
    if (auto done = choose(*index, 0, chosen); !done)
      return std::move(done.error());
    std::set<std::string> digests;
    for (const auto& each : chosen)
      digests.insert(text_member(each, "digest"));
    if (digests.empty())
      return unusable("The archive has no image for linux/" + architecture_);
    if (digests.size() > 1)
      return unusable("The archive has several images: save one at a time");
    return from_manifest(chosen.front());
  }

  result<image_layout> from_manifest(const json& descriptor) {
    auto file = blob(descriptor);
    if (!file)
      return std::move(file.error());
    auto manifest = document(*file);
    if (!manifest)
      return std::move(manifest.error());
    auto config = blob(member(*manifest, "config"));
    if (!config)
      return std::move(config.error());
    const auto& layers = member(*manifest, "layers");
    if (!layers.is_array())
      return unusable("The manifest of the image names no layers");
    std::vector<archive_files::file> packed;
    for (const auto& each : layers) {
      auto layer = blob(each);
      if (!layer)
        return std::move(layer.error());
      packed.push_back(std::move(*layer));
    }
    return put_together("sha256:" + file->sha256, *config, std::move(packed));
  }

  result<image_layout> from_docker(const archive_files::file& file) {
    auto list = document(file);
    if (!list)
      return std::move(list.error());
    if (!list->is_array() || list->empty())
      return unusable("The manifest of the archive names no image");
    if (list->size() > 1)
      return unusable("The archive has several images: save one at a time");
    const auto& about = list->front();
    auto name = text_member(about, "Config");
    const auto* config = files_.find(plain_name(name));
    const auto& layers = member(about, "Layers");
    if (config == nullptr || !layers.is_array())
      return unusable("The archive lacks what its manifest names");
    // Named by its digest: "<hex>.json", or "blobs/sha256/<hex>".
    auto base = name.substr(name.rfind('/') + 1);
    if (base.ends_with(".json"))
      base.resize(base.size() - 5);
    if (is_sha256_hex(base) && base != config->sha256)
      return fail(errc::digest_mismatch, "The configuration sha256:" + base + " has another content");
    std::vector<archive_files::file> packed;
    for (const auto& each : layers) {
      const auto* layer = each.is_string() ? files_.find(plain_name(each.get<std::string>())) : nullptr;
      if (layer == nullptr)
        return unusable("The archive lacks a layer");
      packed.push_back(*layer);
    }
    return put_together("sha256:" + config->sha256, *config, std::move(packed));
  }

  result<image_layout> put_together(std::string digest, const archive_files::file& config_file,
                                    std::vector<archive_files::file> packed) {
    auto config = document(config_file);
    if (!config)
      return std::move(config.error());
    auto system = text_member(*config, "os"), architecture = text_member(*config, "architecture");
    if (!is_ours(system, architecture))
      return unusable("The image is for " + system.substr(0, 32) + "/" + architecture.substr(0, 32) +
                      ", and this machine is linux/" + architecture_);
    const auto& ids = member(member(*config, "rootfs"), "diff_ids");
    if (!ids.is_array() || ids.size() != packed.size())
      return unusable("The configuration of the image names other layers than its manifest");
    if (packed.empty() || packed.size() > most_layers_)
      return unusable("An image has 1 to " + std::to_string(most_layers_) + " layers");
    image_layout found{std::move(digest), member(*config, "config"), {}};
    for (std::size_t i = 0; i < packed.size(); ++i) {
      auto hex = ids[i].is_string() ? hex_of(ids[i].get<std::string>()) : std::string{};
      if (hex.empty())
        return unusable("The configuration of the image names a layer by something else than its SHA-256");
      // Overlayfs takes a layer once. The upper of two covers all that the lower one does.
      std::erase_if(found.layers, [&](const auto& before) { return before.diff_id == hex; });
      found.layers.push_back({std::move(packed[i]), std::move(hex)});
    }
    return found;
  }

  const archive_files& files_;
  const std::string& architecture_;
  std::size_t most_layers_;
  const import_limits& limits_;
};

} // namespace

std::string this_architecture() {
  utsname about{};
  if (::uname(&about) != 0)
    return {};
  std::string machine{about.machine};
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
}

result<image_layout> find_image(const archive_files& files, const std::string& architecture,
                                std::size_t most_layers, const import_limits& limits) {
  return finder{files, architecture, most_layers, limits}.find();
}

} // namespace sandy::runtime::oci
