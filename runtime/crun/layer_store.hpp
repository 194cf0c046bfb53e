#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "runtime/image_store.hpp"
#include "runtime/process.hpp"
#include "runtime/unique_fd.hpp"

#include <string>
#include <vector>

namespace sandy::runtime {

/// What a file system is stacked on: an image, exactly as it was, and layers above it.
struct origin {
  std::string image; ///< the image's tree, relative to the image store: a version, not a name
  layer_id top;      ///< the uppermost layer; empty: none
};

/// Keeps origins beside what was made from them. Fails with internal.
result<void> write_origin(const std::string& path, const origin& from);
/// Fails with sandbox_failed when the file is missing or damaged.
result<origin> read_origin(const std::string& path);

/// Layers on disk: `<data>/layers/<id>/` with `tree/`, what one sandbox wrote, owners as it saw them, and
/// `origin.json`, what lies below, written last. Thread safe for different ids; blocking.
class layer_store {
public:
  /// @param images outlives this.
  layer_store(const std::string& data_dir, const image_store& images);

  /// The origin of a new sandbox. @param top a layer; else `image` names the image.
  /// Fails with image_not_found.
  result<origin> find(const std::string& image, const layer_id& top) const;

  /// Host paths of the trees, bottom first. Fails with image_not_found when one is missing, with conflict
  /// when there are more than most_layers above the image.
  result<std::vector<std::string>> trees(const origin& from) const;

  /// Fails as `trees` when a layer on top of these is one too many.
  result<void> has_room_above(const origin& from) const;

  /// A layer that is being made. It is removed again when it is destroyed before it was finished.
  class making {
  public:
    making(const layer_store& store, layer_id id);
    making(const making&) = delete;
    making& operator=(const making&) = delete;
    ~making();
    /// Creates its directories. Fails with conflict when there is one of that id.
    result<void> begin();
    std::string tree() const;
    result<void> finish(const origin& below);

  private:
    const layer_store& store_;
    layer_id id_;
    bool begun_ = false;
  };

  /// Removes a layer, finished or not; fine when there is none. Fails with internal.
  result<void> remove(const layer_id& id) const;
  /// All that are there, finished or not.
  std::vector<layer_id> list() const;
  /// Fails with capacity_exhausted when these bytes more would fill the disk.
  result<void> has_space_for(std::uint64_t bytes) const;

private:
  std::string directory(const layer_id& id) const { return directory_ + "/" + id.value; }
  /// Trees of the layers above the image, top first.
  result<std::vector<std::string>> above(const origin& from) const;

  std::string directory_;
  const image_store& images_;
};

/// Directory of all layers below the data directory.
std::string layers_directory(const std::string& data_dir);

} // namespace sandy::runtime
