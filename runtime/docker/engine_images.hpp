#pragma once

#include "runtime/crun/layer_store.hpp"
#include "runtime/docker/engine.hpp"

#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace sandy::runtime::docker {

/// The label that all of ours carry in the engine, images and containers; its value names the server.
inline constexpr const char* server_label = "sandy.server";

/// The images of an image store in the engine's own store: one for each origin that a sandbox was made from,
/// flattened, imported when it is first needed. Thread safe; blocking.
class engine_images {
public:
  struct options {
    std::string server;   ///< names this server: no other's images are touched
    std::string exporter; ///< path of sandy-export-tree
    std::string stage;    ///< a directory that no tree lies in
    std::string own_tree; ///< what every sandbox has above its image, see disk_files
  };
  engine_images(const engine& to, options chosen)
      : engine_(to)
      , options_(std::move(chosen)) {}

  /// The engine's name of the image of an origin.
  std::string name_of(const origin& from) const;

  /// Makes sure that the engine has it; takes seconds when it has not. @param trees bottom first. Fails with
  /// capacity_exhausted (no engine, no space), sandbox_failed.
  result<void> provide(const origin& from, std::vector<std::string> trees);

  /// Removes all of ours but these and those that containers are made from. Fails with capacity_exhausted.
  result<void> keep_only(const std::set<std::string>& names);

private:
  result<bool> has(const std::string& name) const;
  result<void> import(const std::string& name, std::vector<std::string> trees);

  const engine& engine_;
  options options_;
  std::mutex importing_; ///< one at a time: each reads and writes a whole file system
};

} // namespace sandy::runtime::docker
