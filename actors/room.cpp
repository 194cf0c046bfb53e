#include "actors/room.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace sandy {

namespace {

/// @param factor thousandths. 0 when nothing is known, or nothing bounded.
std::uint64_t times(std::uint64_t total, std::uint32_t factor) {
  return static_cast<std::uint64_t>(static_cast<double>(total) * factor / 1000.0);
}

bool above(std::uint64_t value, std::uint64_t most) { return most != 0 && value > most; }

std::uint64_t idle_cpu_millis(const runtime::host_load& load) {
  return static_cast<std::uint64_t>(load.cpu_count * 1000.0 * (1.0 - std::clamp(load.cpu_ratio, 0.0, 1.0)));
}

std::uint64_t difference(std::uint64_t from, std::uint64_t less) { return from - std::min(from, less); }

} // namespace

amounts& amounts::operator+=(const amounts& more) {
  sandboxes += more.sandboxes;
  memory_bytes += more.memory_bytes;
  cpu_millis += more.cpu_millis;
  pids += more.pids;
  disk_bytes += more.disk_bytes;
  return *this;
}

amounts& amounts::operator-=(const amounts& less) {
  sandboxes = difference(sandboxes, less.sandboxes);
  memory_bytes = difference(memory_bytes, less.memory_bytes);
  cpu_millis = difference(cpu_millis, less.cpu_millis);
  pids = difference(pids, less.pids);
  disk_bytes = difference(disk_bytes, less.disk_bytes);
  return *this;
}

amounts amounts_of(const resource_limits& limits) {
  return {1, limits.memory_bytes, limits.cpu_millis, limits.pids, limits.disk_bytes};
}

room::room(room_rules rules, std::uint32_t max_sandboxes)
    : rules_(rules)
    , max_sandboxes_(max_sandboxes) {}

amounts room::most() const {
  return {max_sandboxes_, times(load_.memory_total_bytes, rules_.memory_overcommit),
          times(load_.memory_total_bytes == 0 ? 0 : 1000ull * load_.cpu_count, rules_.cpu_overcommit),
          times(load_.pids_total, rules_.pids_overcommit),
          times(load_.disk_total_bytes, rules_.disk_overcommit)};
}

std::optional<refusal> room::over(const amounts& promised) const {
  auto bound = most();
  if (promised.sandboxes > bound.sandboxes)
    return refusal::max_sandboxes;
  if (above(promised.memory_bytes, bound.memory_bytes))
    return refusal::memory;
  if (above(promised.cpu_millis, bound.cpu_millis))
    return refusal::cpu;
  if (above(promised.pids, bound.pids))
    return refusal::pids;
  if (above(promised.disk_bytes, bound.disk_bytes))
    return refusal::disk;
  return std::nullopt;
}

bool room::short_of_memory() const {
  return load_.memory_total_bytes != 0 && load_.memory_available_bytes < rules_.memory_reserve;
}

bool room::short_of_cpu() const {
  return rules_.cpu_reserve != 0 && idle_cpu_millis(load_) < rules_.cpu_reserve;
}

std::optional<refusal> room::short_of() const {
  if (short_of_memory())
    return refusal::memory_left;
  if (short_of_cpu())
    return refusal::cpu_left;
  if (load_.pids_total != 0 && difference(load_.pids_total, load_.pids_used) < rules_.pids_reserve)
    return refusal::pids_left;
  if (load_.disk_total_bytes != 0 && load_.disk_free_bytes < rules_.disk_reserve)
    return refusal::disk_left;
  return std::nullopt;
}

std::vector<resource_share> room::shares(const amounts& promised) const {
  auto bound = most();
  return {{"sandboxes", max_sandboxes_, promised.sandboxes, bound.sandboxes,
           difference(max_sandboxes_, promised.sandboxes), 0},
          {"memory", load_.memory_total_bytes, promised.memory_bytes, bound.memory_bytes,
           load_.memory_available_bytes, rules_.memory_reserve},
          {"cpu", 1000ull * load_.cpu_count, promised.cpu_millis, bound.cpu_millis, idle_cpu_millis(load_),
           rules_.cpu_reserve},
          {"pids", load_.pids_total, promised.pids, bound.pids, difference(load_.pids_total, load_.pids_used),
           rules_.pids_reserve},
          {"disk", load_.disk_total_bytes, promised.disk_bytes, bound.disk_bytes, load_.disk_free_bytes,
           rules_.disk_reserve}};
}

bool goes_before(const candidate& a, const candidate& b) {
  auto rank = [](const candidate& of) {
    return std::tuple{-int{of.priority}, of.idle_since, of.frees.size(), of.id};
  };
  return rank(a) < rank(b);
}

std::vector<sandbox_id> choose_victims(std::vector<candidate> from, amounts promised, const room& bounds) {
  if (!bounds.over(promised))
    return {};
  std::sort(from.begin(), from.end(), goes_before);
  std::unordered_map<sandbox_id, int> ended_by; // what ends with several of them is freed once
  std::vector<const candidate*> chosen;
  for (const auto& each : from) {
    if (!bounds.over(promised))
      break;
    chosen.push_back(&each);
    for (const auto& [id, freed] : each.frees)
      if (ended_by[id]++ == 0)
        promised -= freed;
  }
  if (bounds.over(promised))
    return {};
  // Small ones were taken before a large one that is enough alone: spare whom nobody needs, the most
  // important first.
  for (auto each = chosen.rbegin(); each != chosen.rend(); ++each) {
    auto without = promised;
    for (const auto& [id, freed] : (*each)->frees)
      if (ended_by[id] == 1)
        without += freed;
    if (bounds.over(without))
      continue;
    promised = without;
    for (const auto& [id, freed] : (*each)->frees)
      --ended_by[id];
    *each = nullptr;
  }
  std::vector<sandbox_id> ids;
  for (const auto* each : chosen)
    if (each != nullptr)
      ids.push_back(each->id);
  return ids;
}

} // namespace sandy
