#include "runtime/guest/local_data_plane.hpp"

namespace sandy::guest {

namespace {

/// What keeps a sandbox busy while its data plane is in somebody's hands.
struct held_io {
  std::shared_ptr<sandbox_io> io;
  activity::use use;
};

} // namespace

void local_data_plane::add(const sandbox_id& id, std::shared_ptr<sandbox_io> io,
                           std::shared_ptr<activity> uses) {
  std::lock_guard lock{mutex_};
  present_[id] = {std::move(io), std::move(uses)};
}

void local_data_plane::remove(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  present_.erase(id);
}

local_data_plane::entry local_data_plane::get(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  auto found = present_.find(id);
  return found != present_.end() ? found->second : entry{};
}

std::shared_ptr<sandbox_io> local_data_plane::find(const sandbox_id& id) {
  auto found = get(id);
  if (!found.io)
    return nullptr;
  auto* io = found.io.get();
  auto held = std::make_shared<held_io>(held_io{std::move(found.io), activity::use{std::move(found.uses)}});
  return {std::move(held), io};
}

std::optional<activity::time_point> local_data_plane::idle_since(const sandbox_id& id) {
  auto found = get(id);
  return found.uses ? found.uses->idle_since() : std::nullopt;
}

std::shared_ptr<activity> local_data_plane::uses_of(const sandbox_id& id) { return get(id).uses; }

} // namespace sandy::guest
