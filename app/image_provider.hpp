#pragma once

#include "coro/io.hpp"
#include "coro/task.hpp"
#include "messages/image_names.hpp"
#include "runtime/oci/importer.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sandy {

/// Fetches images that the store does not have when somebody wants them: each once, however many wait for it.
/// Whoever stops waiting stops nothing, so that who asks again finds more of it done. Thread safe; outlives
/// its calls.
class image_provider {
public:
  /// @param threads where calls may block: a look at the store, and importing.
  image_provider(const image_names& names, runtime::oci::importer& importer, coro::offload threads)
      : names_(names)
      , importer_(importer)
      , threads_(std::move(threads)) {}

  /// Returns when the store has what callers call `name`, or when that cannot be fetched: nothing that a
  /// registry has, or one that is not allowed. Fails as fetching does (runtime::image_import).
  io_task<result<void>> provide(std::string name);

private:
  using waiter = std::function<void(const result<void>&)>;
  void wait_for(const std::string& store_name, const image_reference& reference, waiter done);
  void fetch(const std::string& store_name, const image_reference& reference);

  const image_names& names_;
  runtime::oci::importer& importer_;
  coro::offload threads_;
  std::mutex mutex_;
  std::map<std::string, std::vector<waiter>> fetching_; ///< who waits, by the image's name in the store
};

} // namespace sandy
