#pragma once

#include "messages/limiter.hpp"

#include <map>
#include <mutex>

namespace sandy {

/// What each tenant may use: defaults for all, and what was configured or set for some. Thread safe; asked
/// rarely (limiters keep what they learned), so that one lock is enough.
class limit_table {
public:
  explicit limit_table(tenant_limits defaults = {}, std::map<tenant_id, tenant_limits> special = {});

  tenant_limits of(const tenant_id& tenant) const;
  void set(const tenant_id& tenant, const tenant_limits& limits);

private:
  const tenant_limits defaults_;
  mutable std::mutex mutex_;
  std::map<tenant_id, tenant_limits> special_;
};

} // namespace sandy
