#pragma once

#include "messages/sandbox.hpp"

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::runtime {

/// An unpacked root file system, shared read-only by every sandbox made from it.
struct image {
  std::string name;
  std::string rootfs;  ///< host path
  std::string version; ///< what `tree` finds again, also when the name has come to mean another tree
};

/// Finds images below one directory: `<directory>/<name>/rootfs` and `<directory>/<name>/image.json`, the
/// latter written last by whoever builds the image. Several servers may share a directory. Thread safe;
/// blocks on the disk only.
class image_store {
public:
  explicit image_store(std::string directory);

  /// Fails with image_not_found: also for names that are not [a-z0-9._-]+, or start with a dot.
  result<image> find(std::string_view name) const;

  /// The host path of an image's tree by its version. Fails with image_not_found when it is gone.
  result<std::string> tree(std::string_view version) const;

  /// The variables that programs in a sandbox of this version find, as its image.json says; none when it is
  /// not to be read. Read once: a version never changes.
  environment variables(const std::string& version) const;

  /// When the image was completed. Fails as `find`.
  result<unix_millis> changed_at(std::string_view name) const;

  /// Complete images, by name.
  std::vector<std::string> list() const;

  /// Whether a program of this name is in a directory of programs of any image. False for names with a slash.
  bool has_program(const std::string& name) const;

private:
  bool complete(const std::string& name) const;

  std::string directory_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, environment> variables_; ///< by version
};

} // namespace sandy::runtime
