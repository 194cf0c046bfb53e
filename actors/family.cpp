#include "actors/family.hpp"

#include <algorithm>

namespace sandy {

namespace {

constexpr unix_millis hour_ms = 3'600'000;
/// Nobody knows when a child will end: soon is a guess that costs little.
constexpr std::uint32_t retry_when_alive = 5;

} // namespace

const family::member* family::find(const sandbox_id& id) const {
  auto found = members_.find(id);
  return found != members_.end() && found->second.alive ? &found->second : nullptr;
}

result<void> family::may_add(const sandbox_id& parent, unix_millis now) {
  if (find(parent) == nullptr)
    return no_such_sandbox();
  if (depth(parent) >= rules_.max_depth)
    return fail_for_now(errc::rate_limited, "Sandbox nesting limit exceeded.", retry_when_alive);
  auto& member = members_.at(parent);
  if (member.children.size() >= rules_.max_alive)
    return fail_for_now(errc::rate_limited, "Active sandbox limit exceeded.", retry_when_alive);
  auto& births = member.births;
  while (!births.empty() && births.front() <= now - hour_ms)
    births.pop_front();
  if (births.size() >= rules_.max_per_hour) {
    auto wait = births.empty() ? hour_ms : births.front() + hour_ms - now;
    return fail_for_now(errc::rate_limited, "Sandbox creation rate limit exceeded.",
                        static_cast<std::uint32_t>((wait + 999) / 1000));
  }
  return caf::unit;
}

void family::add(const sandbox_id& id, const sandbox_id& parent, unix_millis born) {
  if (find(id) != nullptr)
    return;
  auto& member = members_[id];
  member.alive = true;
  member.parent = parent;
  if (parent.value.empty())
    return;
  members_[parent].children.insert(id);
  remember_birth(parent, born);
}

void family::remove(const sandbox_id& id) {
  auto found = members_.find(id);
  if (found == members_.end())
    return;
  auto parent = found->second.parent;
  found->second.alive = false;
  if (found->second.children.empty())
    members_.erase(found);
  auto above = members_.find(parent);
  if (above == members_.end())
    return;
  above->second.children.erase(id);
  if (!above->second.alive && above->second.children.empty())
    members_.erase(above);
}

void family::rename(const sandbox_id& from, const sandbox_id& to) {
  auto found = members_.find(from);
  if (found == members_.end())
    return;
  auto moved = std::move(found->second);
  members_.erase(found);
  if (auto above = members_.find(moved.parent); above != members_.end()) {
    above->second.children.erase(from);
    above->second.children.insert(to);
  }
  members_[to] = std::move(moved);
}

void family::remember_birth(const sandbox_id& parent, unix_millis born) {
  auto found = members_.find(parent);
  if (found == members_.end())
    return;
  auto& births = found->second.births;
  births.insert(std::upper_bound(births.begin(), births.end(), born), born);
}

bool family::within(const sandbox_id& id, const sandbox_id& ancestor) const {
  // A cycle cannot be made here, but might be read from a damaged store.
  auto here = id;
  for (std::size_t step = 0; step <= members_.size() && !here.value.empty(); ++step) {
    if (here == ancestor)
      return true;
    auto found = members_.find(here);
    if (found == members_.end())
      return false;
    here = found->second.parent;
  }
  return false;
}

std::vector<sandbox_id> family::children(const sandbox_id& id) const {
  auto found = members_.find(id);
  if (found == members_.end())
    return {};
  return {found->second.children.begin(), found->second.children.end()};
}

std::vector<sandbox_id> family::orphans() const {
  std::vector<sandbox_id> all;
  for (const auto& [id, member] : members_)
    if (member.alive && !member.parent.value.empty() && find(member.parent) == nullptr)
      all.push_back(id);
  return all;
}

std::uint32_t family::depth(const sandbox_id& id) const {
  std::uint32_t generations = 0;
  for (const auto* here = find(id);
       here != nullptr && !here->parent.value.empty() && generations < rules_.max_depth;
       here = find(here->parent))
    ++generations;
  return generations;
}

} // namespace sandy
