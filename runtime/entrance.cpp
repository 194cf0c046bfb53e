#include "runtime/entrance.hpp"

#include <charconv>
#include <utility>

namespace sandy::runtime {

void entrances::observe(entrance_observer* by) {
  std::lock_guard turn{changing_};
  observer_ = by;
}

void entrances::open(std::shared_ptr<entrance> made) {
  std::lock_guard turn{changing_};
  std::shared_ptr<entrance> before;
  {
    std::lock_guard lock{mutex_};
    before = std::exchange(present_[made->id], made);
  }
  if (before) {
    before->state = entrance_state::gone;
    if (observer_ != nullptr)
      observer_->entrance_changed(*before);
  }
  if (observer_ != nullptr)
    observer_->entrance_opened(*made);
}

void entrances::set_state(const sandbox_id& id, entrance_state state) {
  std::lock_guard turn{changing_};
  auto known = find(id);
  if (!known)
    return;
  known->state = state;
  if (observer_ != nullptr)
    observer_->entrance_changed(*known);
}

void entrances::close(const sandbox_id& id) {
  std::lock_guard turn{changing_};
  std::shared_ptr<entrance> before;
  {
    std::lock_guard lock{mutex_};
    auto known = present_.find(id);
    if (known == present_.end())
      return;
    before = std::move(known->second);
    present_.erase(known);
  }
  before->state = entrance_state::gone;
  if (observer_ != nullptr)
    observer_->entrance_changed(*before);
}

std::shared_ptr<entrance> entrances::find(const sandbox_id& id) const {
  std::lock_guard lock{mutex_};
  auto known = present_.find(id);
  return known != present_.end() ? known->second : nullptr;
}

std::uint16_t port_from(const environment& variables, std::string_view name, std::uint16_t usual) {
  for (const auto& [key, value] : variables) {
    if (key != name)
      continue;
    std::uint16_t port = 0;
    auto [end, wrong] = std::from_chars(value.data(), value.data() + value.size(), port);
    if (wrong == std::errc{} && end == value.data() + value.size() && port != 0)
      return port;
  }
  return usual;
}

} // namespace sandy::runtime
