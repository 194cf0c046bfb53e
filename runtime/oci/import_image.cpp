#include "runtime/oci/import_image.hpp"

#include "runtime/crun/layout.hpp"
#include "runtime/oci/archive_files.hpp"
#include "runtime/oci/image_layout.hpp"
#include "runtime/oci/layer_unpacker.hpp"
#include "runtime/system_failure.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sandy::runtime::oci {

namespace {

using nlohmann::json;

/// Unpacked between two steps that are told.
constexpr std::uint64_t step_bytes = 16 << 20;

result<unique_fd> make_directory(int in, const std::string& name) {
  if (::mkdirat(in, name.c_str(), 0755) != 0)
    return system_failure("cannot make a directory");
  unique_fd made{::openat(in, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!made)
    return system_failure("cannot open a directory");
  return made;
}

class one_import {
public:
  one_import(int directory, const import_limits& limits, const progress_listener& on_progress)
      : directory_(directory)
      , limits_(limits)
      , entries_(limits.entries)
      , bytes_(limits.bytes)
      , on_progress_(on_progress) {}

  result<void> run(int archive, const std::set<std::string>& known) {
    for (auto [name, into] : {std::pair{"archive", &archive_}, {"layers", &layers_}, {"trash", &trash_}}) {
      auto made = make_directory(directory_, name);
      if (!made)
        return std::move(made.error());
      *into = std::move(*made);
    }
    auto files = archive_files::read(archive, archive_.get(), limits_, on_progress_.go_on);
    if (!files)
      return std::move(files.error());
    auto image = find_image(*files, this_architecture(), most_image_trees - 1, limits_);
    if (!image)
      return std::move(image.error());
    json layers = json::array();
    total_ = image->layers.size();
    for (const auto& layer : image->layers) {
      ++number_;
      auto size = known.contains(layer.diff_id) ? take_known(layer) : unpack(*files, layer);
      if (!size)
        return std::move(size.error());
      layers.push_back({{"diff_id", layer.diff_id}, {"size_bytes", size->bytes}, {"inodes", size->inodes}});
    }
    return finish({{"digest", image->digest}, {"config", image->config}, {"layers", std::move(layers)}});
  }

private:
  result<void> tell(const packed_layer& layer, const char* state, std::uint64_t bytes) {
    return on_progress_.tell({{"digest", "sha256:" + layer.diff_id},
                              {"layer", number_},
                              {"layers", total_},
                              {"state", state},
                              {"bytes", bytes}});
  }

  result<tree_size> take_known(const packed_layer& layer) {
    auto told = tell(layer, "known", 0);
    return told ? result<tree_size>{tree_size{}} : std::move(told.error());
  }

  result<tree_size> unpack(const archive_files& files, const packed_layer& layer) {
    if (auto told = tell(layer, "unpacking", 0); !told)
      return std::move(told.error());
    auto packed = files.open(layer.file);
    auto place = make_directory(layers_.get(), layer.diff_id);
    if (!packed || !place)
      return packed ? std::move(place.error()) : std::move(packed.error());
    auto tree = make_directory(place->get(), "tree");
    auto trash = make_directory(trash_.get(), layer.diff_id);
    if (!tree || !trash)
      return tree ? std::move(trash.error()) : std::move(tree.error());
    std::uint64_t bytes = 0, told_bytes = 0;
    auto on_bytes = [&](std::uint64_t more) -> result<void> {
      bytes += more;
      if (bytes - told_bytes < step_bytes)
        return on_progress_.go_on();
      told_bytes = bytes;
      return tell(layer, "unpacking", bytes);
    };
    plain_stream plain{packed->get(), bytes_};
    tar_reader reader{plain};
    layer_unpacker unpacker{tree->get(), trash->get(), entries_};
    auto size = unpacker.unpack(reader, on_bytes);
    if (!size)
      return std::move(size.error());
    if (auto drained = plain.drain(); !drained)
      return std::move(drained.error());
    if (plain.sha256_hex() != layer.diff_id)
      return fail(errc::digest_mismatch, "The layer sha256:" + layer.diff_id + " has another content");
    files.drop(layer.file);
    if (auto told = tell(layer, "unpacked", bytes); !told)
      return std::move(told.error());
    return size;
  }

  result<void> finish(const json& outcome) {
    unique_fd file{::openat(directory_, result_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    auto text = outcome.dump(-1, ' ', false, json::error_handler_t::replace);
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      return system_failure("cannot note what was unpacked");
    // A power cut must not leave empty files in what counts as complete.
    if (::syncfs(directory_) != 0)
      return system_failure("cannot write the image to the disk");
    return caf::unit;
  }

  int directory_;
  const import_limits& limits_;
  std::uint64_t entries_;
  std::uint64_t bytes_;
  const progress_listener& on_progress_;
  unique_fd archive_, layers_, trash_;
  std::size_t number_ = 0;
  std::size_t total_ = 0;
};

} // namespace

result<void> import_image(int archive, int directory, const std::set<std::string>& known,
                          const import_limits& limits, const progress_listener& on_progress) {
  return one_import{directory, limits, on_progress}.run(archive, known);
}

} // namespace sandy::runtime::oci
