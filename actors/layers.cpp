#include "actors/layers.hpp"

#include <algorithm>
#include <set>

namespace sandy {

void layers::put(layer_record record) {
  auto& known = all_[record.id];
  if (!known.mine)
    known.mine = std::make_shared<const layer_id>(record.id);
  known.record = std::move(record);
}

void layers::remove(const layer_id& id) { all_.erase(id); }

layers::hold layers::use(const layer_id& id) const {
  auto known = all_.find(id);
  return known == all_.end() ? nullptr : known->second.mine;
}

const layer_record* layers::find(const layer_id& id) const {
  auto known = all_.find(id);
  return known == all_.end() ? nullptr : &known->second.record;
}

bool layers::visible(const principal& caller, const layer_record& record) {
  return !record.name.empty() && record.complete && record.tenant == caller.tenant &&
         (caller.sandbox.value.empty() || record.maker == caller.sandbox);
}

const layer_record* layers::find(const principal& caller, const std::string& name) const {
  for (const auto& [id, each] : all_)
    if (each.record.name == name && visible(caller, each.record))
      return &each.record;
  return nullptr;
}

bool layers::taken(const tenant_id& tenant, const std::string& name) const {
  return std::any_of(all_.begin(), all_.end(), [&](const auto& each) {
    return each.second.record.tenant == tenant && each.second.record.name == name;
  });
}

std::vector<const layer_record*> layers::visible(const principal& caller) const {
  std::vector<const layer_record*> found;
  for (const auto& [id, each] : all_)
    if (visible(caller, each.record))
      found.push_back(&each.record);
  std::sort(found.begin(), found.end(), [](auto left, auto right) { return left->name < right->name; });
  return found;
}

std::size_t layers::count(const tenant_id& tenant) const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [&](const auto& each) {
    return each.second.record.tenant == tenant && !each.second.record.name.empty();
  }));
}

std::vector<layer_id> layers::unneeded() const {
  std::set<layer_id> below_others;
  for (const auto& [id, each] : all_)
    below_others.insert(each.record.below);
  std::vector<layer_id> found;
  for (const auto& [id, each] : all_)
    if (each.record.name.empty() && each.mine.use_count() == 1 && !below_others.contains(id))
      found.push_back(id);
  return found;
}

} // namespace sandy
