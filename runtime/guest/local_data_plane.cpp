#include "runtime/guest/local_data_plane.hpp"

namespace sandy::guest {

void local_data_plane::add(const sandbox_id& id, std::shared_ptr<sandbox_io> io) {
  std::lock_guard lock{mutex_};
  present_[id] = std::move(io);
}

void local_data_plane::remove(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  present_.erase(id);
}

std::shared_ptr<sandbox_io> local_data_plane::find(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  auto found = present_.find(id);
  return found != present_.end() ? found->second : nullptr;
}

} // namespace sandy::guest
