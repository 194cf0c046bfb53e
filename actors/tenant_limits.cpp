#include "actors/tenant_limits.hpp"

#include <utility>

namespace sandy {

limit_table::limit_table(tenant_limits defaults, std::map<tenant_id, tenant_limits> special)
    : defaults_(defaults)
    , special_(std::move(special)) {}

tenant_limits limit_table::of(const tenant_id& tenant) const {
  std::lock_guard lock(mutex_);
  auto found = special_.find(tenant);
  return found != special_.end() ? found->second : defaults_;
}

void limit_table::set(const tenant_id& tenant, const tenant_limits& limits) {
  std::lock_guard lock(mutex_);
  special_[tenant] = limits;
}

} // namespace sandy
