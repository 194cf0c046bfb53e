#pragma once

#include "runtime/image_importer.hpp"
#include "runtime/image_store.hpp"
#include "runtime/oci/limits.hpp"
#include "runtime/oci/published_images.hpp"
#include "runtime/oci/registry.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

namespace sandy::runtime::oci {

struct importer_options {
  std::string image_dir;                ///< see image_store; absolute
  std::string program;                  ///< path of sandy-import-image
  std::vector<std::string> directories; ///< where archives of this machine may be; absolute
  import_limits limits;
  std::chrono::milliseconds timeout = std::chrono::hours{1}; ///< for one image, its way here included
  registry_options registries;
};

/// Imports images with a helper for each. Outlives its imports.
class importer final : public image_importer {
public:
  explicit importer(importer_options options);

  result<std::shared_ptr<image_import>> begin(const std::string& name, const import_source& from) override;

  /// Ends what is under way, soon; nothing begins any more.
  void stop() noexcept { stopping_ = true; }

  /// Whether the operator allows to fetch this.
  bool fetches(const image_reference& reference) const { return is_allowed(options_.registries, reference); }

  /// Whether the store has an image of this name.
  bool has(const std::string& name) const { return static_cast<bool>(store_.find(name)); }

private:
  class running;
  result<unique_fd> open_file(const std::string& path) const;

  importer_options options_;
  published_images images_;
  image_store store_;
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false};
};

} // namespace sandy::runtime::oci
