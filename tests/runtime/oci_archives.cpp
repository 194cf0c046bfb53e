#include "tests/runtime/oci_archives.hpp"

#include "runtime/oci/image_layout.hpp"
#include "runtime/oci/sha256.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

namespace sandy::test {

using nlohmann::json;

namespace {

struct written {
  void operator()(archive* writer) const { ::archive_write_free(writer); }
};
using archive_writer = std::unique_ptr<archive, written>;

la_ssize_t append(archive*, void* to, const void* bytes, std::size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

void need(bool good) {
  if (!good)
    throw std::runtime_error{"cannot write an archive"};
}

unsigned type_of(char letter) {
  switch (letter) {
  case 'd':
    return AE_IFDIR;
  case 'l':
    return AE_IFLNK;
  case 'c':
    return AE_IFCHR;
  case 'b':
    return AE_IFBLK;
  case 'p':
    return AE_IFIFO;
  default:
    return AE_IFREG;
  }
}

json descriptor_of(const std::string& blob, const std::string& type) {
  return {{"mediaType", type}, {"digest", "sha256:" + sha256_of(blob)}, {"size", blob.size()}};
}

} // namespace

std::string tar_of(const std::vector<tar_entry>& entries) {
  std::string bytes;
  archive_writer writer{::archive_write_new()};
  ::archive_write_set_format_pax(writer.get());
  ::archive_write_set_bytes_in_last_block(writer.get(), 1);
  need(::archive_write_open(writer.get(), &bytes, nullptr, append, nullptr) == ARCHIVE_OK);
  for (const auto& each : entries) {
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry{::archive_entry_new(),
                                                                   ::archive_entry_free};
    ::archive_entry_set_pathname(entry.get(), each.name.c_str());
    ::archive_entry_set_filetype(entry.get(), type_of(each.type));
    ::archive_entry_set_perm(entry.get(), each.mode);
    ::archive_entry_set_uid(entry.get(), each.uid);
    ::archive_entry_set_gid(entry.get(), each.gid);
    ::archive_entry_set_mtime(entry.get(), each.time, 0);
    for (const auto& [name, value] : each.attributes)
      ::archive_entry_xattr_add_entry(entry.get(), name.c_str(), value.data(), value.size());
    const bool file = each.type == 'f';
    if (each.type == 'l')
      ::archive_entry_set_symlink(entry.get(), each.content.c_str());
    if (each.type == 'h')
      ::archive_entry_set_hardlink(entry.get(), each.content.c_str());
    auto size = file ? each.hole + static_cast<std::int64_t>(each.content.size()) : 0;
    ::archive_entry_set_size(entry.get(), size);
    if (each.hole > 0)
      ::archive_entry_sparse_add_entry(entry.get(), each.hole,
                                       static_cast<std::int64_t>(each.content.size()));
    need(::archive_write_header(writer.get(), entry.get()) >= ARCHIVE_WARN);
    if (file && each.hole > 0) { // the writer wants the hole, too, and leaves it out
      std::string zeros(static_cast<std::size_t>(each.hole), '\0');
      ::archive_write_data(writer.get(), zeros.data(), zeros.size());
    }
    if (file)
      ::archive_write_data(writer.get(), each.content.data(), each.content.size());
  }
  need(::archive_write_close(writer.get()) == ARCHIVE_OK);
  return bytes;
}

std::string packed(std::string_view bytes, packing how) {
  std::string out;
  archive_writer writer{::archive_write_new()};
  ::archive_write_set_format_raw(writer.get());
  need((how == packing::gzip ? ::archive_write_add_filter_gzip(writer.get())
                             : ::archive_write_add_filter_zstd(writer.get())) == ARCHIVE_OK);
  ::archive_write_set_bytes_in_last_block(writer.get(), 1);
  need(::archive_write_open(writer.get(), &out, nullptr, append, nullptr) == ARCHIVE_OK);
  std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry{::archive_entry_new(), ::archive_entry_free};
  ::archive_entry_set_filetype(entry.get(), AE_IFREG);
  ::archive_entry_set_pathname(entry.get(), "all");
  need(::archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK);
  ::archive_write_data(writer.get(), bytes.data(), bytes.size());
  need(::archive_write_close(writer.get()) == ARCHIVE_OK);
  return out;
}

std::string sha256_of(std::string_view bytes) {
  runtime::oci::sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

runtime::unique_fd file_of(std::string_view bytes) {
  runtime::unique_fd file{::memfd_create("archive", MFD_CLOEXEC)};
  need(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string test_image::document() const {
  json ids = json::array();
  for (const auto& each : layers)
    ids.push_back("sha256:" + sha256_of(each));
  return json{{"os", "linux"},
              {"architecture", architecture.empty() ? runtime::oci::this_architecture() : architecture},
              {"config", config},
              {"rootfs", {{"type", "layers"}, {"diff_ids", ids}}}}
      .dump();
}

std::map<std::string, std::string> test_image::oci_files() const {
  std::map<std::string, std::string> files{{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"}};
  auto put = [&](const std::string& blob, const std::string& type) {
    files["blobs/sha256/" + sha256_of(blob)] = blob;
    return descriptor_of(blob, type);
  };
  json packed_layers = json::array();
  for (const auto& each : layers)
    packed_layers.push_back(
        put(gzip ? packed(each, packing::gzip) : each,
            std::string{"application/vnd.oci.image.layer.v1.tar"} + (gzip ? "+gzip" : "")));
  json manifest{{"schemaVersion", 2},
                {"config", put(document(), "application/vnd.oci.image.config.v1+json")},
                {"layers", packed_layers}};
  json index{{"schemaVersion", 2},
             {"manifests", {put(manifest.dump(), "application/vnd.oci.image.manifest.v1+json")}}};
  files["index.json"] = index.dump();
  return files;
}

std::map<std::string, std::string> test_image::docker_files() const {
  std::map<std::string, std::string> files;
  json names = json::array();
  for (const auto& each : layers) {
    auto name = sha256_of(each + "id") + "/layer.tar";
    files[name] = each;
    names.push_back(name);
  }
  auto config_name = sha256_of(document()) + ".json";
  files[config_name] = document();
  files["manifest.json"] =
      json::array({{{"Config", config_name}, {"RepoTags", {"test:latest"}}, {"Layers", names}}}).dump();
  return files;
}

std::string archive_of(const std::map<std::string, std::string>& files) {
  std::vector<tar_entry> entries;
  for (const auto& [name, content] : files)
    entries.push_back({name, 'f', content});
  return tar_of(entries);
}

} // namespace sandy::test
