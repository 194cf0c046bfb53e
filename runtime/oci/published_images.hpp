#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sandy::runtime::oci {

/// A directory of the image store where one import works: `known`, the layers that are there already;
/// `root/`, where it unpacks. It is removed when it is destroyed, which blocks. Whoever holds its lock keeps
/// it.
class staging {
public:
  staging(std::string directory, unique_fd lock)
      : directory_(std::move(directory))
      , lock_(std::move(lock)) {}
  staging(const staging&) = delete;
  staging& operator=(const staging&) = delete;
  ~staging();

  const std::string& directory() const noexcept { return directory_; }
  int lock() const noexcept { return lock_.get(); }

private:
  std::string directory_;
  unique_fd lock_;
};

/// The images of a store that came from archives, as script/image keeps its own: `<name>/` leads to a
/// version,
/// `.<name>-<digest>/` with `rootfs/` and `image.json`, whose `layers` are `.layer-sha256-<diff id>/tree`,
/// shared by all images that have them. Several servers may share the store; the lock `.imports` orders what
/// they do. Thread safe; blocking.
class published_images {
public:
  explicit published_images(std::string directory)
      : directory_(std::move(directory)) {}

  /// A new staging directory. Fails with internal.
  result<std::unique_ptr<staging>> stage() const;

  /// Makes what an import left in its staging directory the image of that name, in the place of an imported
  /// one; all at once. Fails with conflict when an image has the name that was built, with internal.
  result<void> publish(const staging& from, const std::string& name) const;

  /// Whether an image of this name was imported; false also for none.
  bool is_imported(const std::string& name) const;

  /// Forgets an image; the next sweep removes what only it needed, which takes as long as that is large.
  /// Fails with image_not_found, forbidden (it was built), internal.
  result<void> remove(const std::string& name) const;

  /// Removes versions that no sandbox and no layer of any server stands on, layers that no version has, and
  /// what crashes left. Fails with internal.
  result<void> sweep() const;

private:
  result<std::vector<std::string>> take_unneeded() const;
  result<unique_fd> lock() const;
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  nlohmann::json description(const std::string& of) const;
  std::optional<std::set<std::string>> versions_in_use() const;
  std::set<std::string> layers_needed() const;
  void set_aside(const std::string& name) const;
  void take_old_versions() const;

  std::string directory_;
};

} // namespace sandy::runtime::oci
