#pragma once

#include "messages/sandbox.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::runtime {

/// An unpacked root file system, shared read-only by every sandbox made from it.
struct image {
  std::string name;
  std::string rootfs;  ///< host path of its uppermost tree
  std::string version; ///< what `trees` finds again, also when the name has come to mean another image
};

struct installed_image; // runtime/driver.hpp
struct image_program;

/// Finds images below one directory: `<directory>/<name>/rootfs` and `<directory>/<name>/image.json`, the
/// latter written last by whoever builds the image. What its `layers` name, lowest first, are trees
/// `<directory>/<layer>/tree` that lie below `rootfs`, shared with other images. Several servers may share a
/// directory. Thread safe; blocks on the disk only.
class image_store {
public:
  explicit image_store(std::string directory);

  /// Fails with image_not_found: also for names that are not [a-z0-9._-]+, or start with a dot.
  result<image> find(std::string_view name) const;

  /// The host paths of an image's trees by its version, lowest first. Fails with image_not_found when one of
  /// them is gone or its description cannot be read.
  result<std::vector<std::string>> trees(const std::string& version) const;

  /// The variables that programs in a sandbox of this version find, as its image.json says; none when it is
  /// not to be read. Read once: a version never changes.
  environment variables(const std::string& version) const;

  /// Where programs in a sandbox of this version want to start, as its image.json says; empty: it does not.
  std::string working_directory(const std::string& version) const;

  /// What an image says of the program that it is for. Fails as `find`.
  result<image_program> program_of(std::string_view name) const;

  /// Everything that is told of an image. Fails as `find`.
  result<installed_image> describe_image(const std::string& name) const;

  /// When the image was completed. Fails as `find`.
  result<unix_millis> changed_at(std::string_view name) const;

  /// Complete images, by name.
  std::vector<std::string> list() const;

  /// Whether a program of this name is in a directory of programs of any image. False for names with a slash.
  bool has_program(const std::string& name) const;

  /// The same of one version. Looked up once: a version never changes.
  bool has_program(const std::string& name, const std::string& version) const;

  /// Notes in the store that sandboxes and layers below this data directory may stand on its images: what
  /// removes old versions looks there. A store that cannot be written to is left as it is: nothing is removed
  /// from it either.
  /// @param name of the note, a name that other data directories do not have
  void add_user(const std::string& name, const std::string& data_dir) const;
  /// Takes the note back.
  void remove_user(const std::string& name) const;

private:
  /// What is taken from an image.json.
  struct description {
    environment variables;
    std::vector<std::string> layers; ///< lowest first
    std::string working_directory;
    std::vector<std::string> entrypoint, command;
    std::string user;
    std::string digest;
    std::uint64_t size_bytes = 0;
    bool imported = false;
  };

  bool complete(const std::string& name) const;
  std::optional<description> describe(const std::string& version) const;

  std::string directory_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, description> descriptions_;              ///< by version
  mutable std::map<std::pair<std::string, std::string>, bool> programs_; ///< by version and name
};

} // namespace sandy::runtime
