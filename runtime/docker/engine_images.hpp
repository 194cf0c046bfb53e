#pragma once

#include "runtime/crun/layer_store.hpp"
#include "runtime/docker/engine.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sandy::runtime::docker {

/// The label that all of ours carry in the engine, images and containers; its value names the server.
inline constexpr const char* server_label = "sandy.server";

/// The images of an image store in the engine's own store: one for each origin that a sandbox was made from,
/// flattened, imported when it is first needed, by a thread of its own: that takes minutes for a large one,
/// and nobody waits for it. Thread safe; questions to the engine block.
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
  engine_images(const engine_images&) = delete;
  engine_images& operator=(const engine_images&) = delete;
  /// Gives up what is being imported.
  ~engine_images();

  /// The engine's name of the image of an origin.
  std::string name_of(const origin& from) const;

  /// Whether the engine has it. An image that it has not is imported in its turn; who asks again hears when
  /// that is done, or why it failed. @param trees bottom first. Fails with capacity_exhausted (no engine, no
  /// space, too many images wait), sandbox_failed.
  result<bool> provide(const origin& from, std::vector<std::string> trees);

  /// Removes all of ours but these, those that are to be imported, and those that containers are made from.
  /// Fails with capacity_exhausted.
  result<void> keep_only(const std::set<std::string>& names);

private:
  struct wish {
    std::string name;
    std::vector<std::string> trees;
  };
  struct failure {
    caf::error why;
    steady_time at;
  };
  result<bool> has(const std::string& name) const;
  bool is_wished(const std::string& name) const; ///< the mutex is held
  void work();
  result<void> import(const wish& what);

  const engine& engine_;
  options options_;
  std::mutex mutex_;
  std::condition_variable wished_;
  std::deque<wish> wishes_;                 ///< the first is being imported
  std::map<std::string, failure> failures_; ///< of the last seconds
  std::atomic<bool> stopping_{false};
  std::thread importer_; ///< one image at a time: each reads and writes a whole file system
};

} // namespace sandy::runtime::docker
