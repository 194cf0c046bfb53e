#include "http/codec/machine.hpp"

#include "http/codec/create.hpp"
#include "http/codec/time_format.hpp"
#include "http/codec/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace sandy::http::codec {

namespace {

using nlohmann::json;

double clamped(double ratio) { return std::isfinite(ratio) ? std::clamp(ratio, 0.0, 1.0) : 0.0; }

/// Null where there is no whole to be a part of.
json ratio_json(double part, double whole) { return whole > 0 ? json(clamped(part / whole)) : json(); }

void both(json& into, std::string_view camel, std::string_view snake, json value) {
  into[std::string{snake}] = value;
  into[std::string{camel}] = std::move(value);
}

double in_gib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

json pools_json(const std::vector<pool_health>& pools) {
  auto out = json::object();
  auto now = unix_now();
  for (const auto& pool : pools)
    out[pool.flavor] = {
        {"available", pool.available},
        {"target", pool.target},
        {"hits", pool.hits},
        {"misses", pool.misses},
        {"oldest_age_seconds",
         pool.oldest_made_at == 0 ? 0 : std::max<unix_millis>(0, now - pool.oldest_made_at) / 1000},
        {"last_refill_ms", pool.refill_ms}};
  return out;
}

/// By name: memory and disk in bytes, cores as cores, the rest as numbers. Null: not bounded.
json room_json(const room_report& room) {
  auto out = json::object();
  for (const auto& share : room.shares) {
    auto amount = [in_millis = share.name == "cpu"](std::uint64_t value) {
      return in_millis ? json(static_cast<double>(value) / 1000.0) : json(value);
    };
    out[share.name] = {{"total", amount(share.total)},
                       {"promised", amount(share.promised)},
                       {"promisable", share.promisable > 0 ? amount(share.promisable) : json()},
                       {"left", amount(share.left)},
                       {"reserve", amount(share.reserve)}};
  }
  return out;
}

} // namespace

json to_json(const std::vector<sandbox_stats>& stats) {
  auto out = json::array();
  for (const auto& each : stats) {
    auto cores = each.cpu_millis_limit / 1000.0;
    auto memory = static_cast<double>(each.memory_bytes);
    // Clients read the number of cores as a whole one.
    auto cores_total = static_cast<std::uint64_t>(std::ceil(cores));
    out.push_back({{"sandbox_id", each.id.value},
                   {"sandboxId", each.id.value},
                   {"container_id", nullptr},
                   {"cpu_ratio", ratio_json(each.cpu_cores_used, cores)},
                   {"memory_ratio", ratio_json(memory, static_cast<double>(each.memory_limit_bytes))},
                   {"cpu_cores_used", std::isfinite(each.cpu_cores_used) ? each.cpu_cores_used : 0.0},
                   {"cpu_cores_total", cores_total > 0 ? json(cores_total) : json()},
                   {"memory_usage_bytes", each.memory_bytes},
                   {"memory_limit_bytes", each.memory_limit_bytes},
                   {"disk_bytes", each.disk_bytes},
                   {"disk_limit_bytes", each.disk_limit_bytes},
                   {"pids", each.pids},
                   {"pids_limit", each.pids_limit},
                   {"oom_kills", each.oom_kills},
                   {"updated_at", iso_time(each.updated_at)}});
  }
  return out;
}

json to_json(const worker_resources& r) {
  auto memory_used = r.memory_total_bytes - std::min(r.memory_total_bytes, r.memory_available_bytes);
  auto disk_used = r.disk_total_bytes - std::min(r.disk_total_bytes, r.disk_free_bytes);
  auto share = [](std::uint64_t part, std::uint64_t whole) {
    return whole > 0 ? clamped(static_cast<double>(part) / static_cast<double>(whole)) : 0.0;
  };
  auto breakdown = json::object();
  for (std::uint8_t i = 0; i < 4; ++i)
    breakdown[priority_name(i)] = i < r.by_priority.size() ? r.by_priority[i] : 0;

  auto out = json::object();
  both(out, "canCreateSandbox", "can_create_sandbox", r.can_create);
  both(out, "rejectReason", "reject_reason", r.reject_reason.empty() ? json() : json(r.reject_reason));
  out["limits"] = {{"maxSandboxes", r.max_sandboxes}, {"max_sandboxes", r.max_sandboxes}};
  both(out, "priorityBreakdown", "priority_breakdown", std::move(breakdown));
  both(out, "sandboxCount", "sandbox_count", r.sandboxes);
  both(out, "cpuCount", "cpu_count", r.cpu_count);
  both(out, "cpuRatio", "cpu_ratio", clamped(r.cpu_ratio));
  both(out, "cpuPercent", "cpu_percent", clamped(r.cpu_ratio) * 100);
  both(out, "memoryPercent", "memory_percent", share(memory_used, r.memory_total_bytes) * 100);
  both(out, "memoryTotalGb", "memory_total_gb", in_gib(r.memory_total_bytes));
  both(out, "memoryAvailableGb", "memory_available_gb", in_gib(r.memory_available_bytes));
  both(out, "memoryTotalBytes", "memory_total_bytes", r.memory_total_bytes);
  both(out, "memoryUsedBytes", "memory_used_bytes", memory_used);
  both(out, "memoryAvailableBytes", "memory_available_bytes", r.memory_available_bytes);
  both(out, "diskTotalBytes", "disk_total_bytes", r.disk_total_bytes);
  both(out, "diskUsedBytes", "disk_used_bytes", disk_used);
  both(out, "diskFreeBytes", "disk_free_bytes", r.disk_free_bytes);
  both(out, "diskUsedRatio", "disk_used_ratio", share(disk_used, r.disk_total_bytes));
  both(out, "load1", "load_avg_1m", r.load1);
  both(out, "load5", "load_avg_5m", r.load5);
  both(out, "load15", "load_avg_15m", r.load15);
  both(out, "warmPool", "warm_pool", pools_json(r.pools));
  out["room"] = room_json(r.room);
  both(out, "waitingCreations", "waiting_creations", r.room.waiting);
  both(out, "longestWaitMs", "longest_wait_ms", r.room.longest_wait_ms);
  both(out, "runningCreations", "running_creations", r.room.making);
  return out;
}

json to_json(const std::vector<resource_sample>& samples) {
  auto out = json::array();
  for (const auto& each : samples)
    out.push_back({{"timestamp", iso_time(each.timestamp)},
                   {"cpu_ratio", clamped(each.cpu_ratio)},
                   {"memory_ratio", clamped(each.memory_ratio)},
                   {"disk_ratio", clamped(each.disk_ratio)}});
  return out;
}

std::string health_body(const worker_health& health, std::string_view version, bool counts) {
  std::string body;
  body.reserve(96 + 64 * health.pools.size() + version.size());
  body += health.accepting ? R"({"status":"ok")" : R"({"status":"draining")";
  if (counts)
    body += R"(,"sandboxes":)" + std::to_string(health.sandboxes);
  body += R"(,"warmPool":{)";
  for (const auto& pool : health.pools) {
    if (!counts)
      break;
    if (&pool != health.pools.data())
      body.push_back(',');
    body.push_back('"');
    append_json_escaped(body, pool.flavor);
    body += R"(":{"available":)" + std::to_string(pool.available) + R"(,"target":)" +
            std::to_string(pool.target) + "}";
  }
  body += R"(},"version":")";
  append_json_escaped(body, version);
  body += "\"}";
  return body;
}

} // namespace sandy::http::codec
