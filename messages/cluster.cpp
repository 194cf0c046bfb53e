#include "messages/cluster.hpp"

#include <algorithm>

namespace sandy {

namespace {

/// The entry of that name, made where there is none.
template <class T>
T& named(std::vector<T>& all, const std::string& name, std::string T::* key) {
  auto found = std::ranges::find(all, name, key);
  if (found != all.end())
    return *found;
  T made;
  made.*key = name;
  return all.emplace_back(std::move(made));
}

void add(pool_health& all, const pool_health& one) {
  all.available += one.available;
  all.target += one.target;
  all.hits += one.hits;
  all.misses += one.misses;
  if (one.oldest_made_at != 0 && (all.oldest_made_at == 0 || one.oldest_made_at < all.oldest_made_at))
    all.oldest_made_at = one.oldest_made_at;
  all.refill_ms = std::max(all.refill_ms, one.refill_ms);
}

void add(room_report& all, const room_report& one) {
  for (const auto& share : one.shares) {
    auto& sum = named(all.shares, share.name, &resource_share::name);
    sum.total += share.total;
    sum.promised += share.promised;
    sum.promisable += share.promisable;
    sum.left += share.left;
    sum.reserve += share.reserve;
  }
  all.waiting += one.waiting;
  all.longest_wait_ms = std::max(all.longest_wait_ms, one.longest_wait_ms);
  all.making += one.making;
}

} // namespace

worker_resources in_all(const std::vector<worker_resources>& machines) {
  worker_resources all;
  all.reject_reason = "There is no node that holds sandboxes";
  for (const auto& one : machines) {
    if (!all.can_create)
      all.reject_reason = one.reject_reason;
    all.can_create = all.can_create || one.can_create;
    all.sandboxes += one.sandboxes;
    all.max_sandboxes += one.max_sandboxes;
    all.by_priority.resize(std::max(all.by_priority.size(), one.by_priority.size()));
    for (std::size_t i = 0; i < one.by_priority.size(); ++i)
      all.by_priority[i] += one.by_priority[i];
    all.cpu_ratio += one.cpu_ratio * one.cpu_count;
    all.cpu_count += one.cpu_count;
    all.load1 += one.load1;
    all.load5 += one.load5;
    all.load15 += one.load15;
    all.memory_total_bytes += one.memory_total_bytes;
    all.memory_available_bytes += one.memory_available_bytes;
    all.disk_total_bytes += one.disk_total_bytes;
    all.disk_free_bytes += one.disk_free_bytes;
    for (const auto& pool : one.pools)
      add(named(all.pools, pool.flavor, &pool_health::flavor), pool);
    add(all.room, one.room);
  }
  all.cpu_ratio /= std::max(1u, all.cpu_count);
  return all;
}

std::string to_string(node_role role) {
  switch (role) {
  case node_role::controller:
    return "controller";
  case node_role::worker:
    return "worker";
  case node_role::all:
    break;
  }
  return "all";
}

std::string to_string(node_state state) {
  switch (state) {
  case node_state::cordoned:
    return "cordoned";
  case node_state::draining:
    return "draining";
  case node_state::unreachable:
    return "unreachable";
  case node_state::ready:
    break;
  }
  return "ready";
}

} // namespace sandy
