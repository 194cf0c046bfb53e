#include "metrics/http_metrics.hpp"

#include "metrics/entry_table.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <new>
#include <string>

namespace sandy::metrics {

namespace {

/// Seconds. From an answer without any work (some tens of microseconds) to a long command.
constexpr std::array bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                            0.25,   0.5,     1.0,    2.5,   5.0,    10.0,  30.0, 60.0,  300.0};

constexpr std::array<std::string_view, 8> methods{"GET",   "HEAD",   "POST",    "PUT",
                                                  "PATCH", "DELETE", "OPTIONS", "OTHER"};

std::uint8_t method_index(std::string_view method) noexcept {
  auto found = std::find(methods.begin(), methods.end() - 1, method);
  return static_cast<std::uint8_t>(found - methods.begin());
}

struct route_entry {
  std::string route;
  std::array<std::atomic<std::uint64_t>, bounds.size() + 1> buckets{}; ///< not cumulative; the last is +Inf
  std::atomic<std::uint64_t> nanoseconds{0};

  void observe(double seconds) noexcept {
    auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
    buckets[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    nanoseconds.fetch_add(static_cast<std::uint64_t>(std::max(seconds, 0.0) * 1e9),
                          std::memory_order_relaxed);
  }

  prometheus::ClientMetric collect() const {
    prometheus::ClientMetric metric;
    metric.label = {{"route", route}};
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      seen += buckets[i].load(std::memory_order_relaxed);
      metric.histogram.bucket.push_back(
          {seen, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
    }
    metric.histogram.sample_count = seen; // from the same reads: a scrape is consistent in itself
    metric.histogram.sample_sum = static_cast<double>(nanoseconds.load(std::memory_order_relaxed)) / 1e9;
    return metric;
  }
};

struct request_entry {
  const route_entry* route = nullptr;
  std::uint8_t method = 0;
  unsigned status = 0;
  std::atomic<std::uint64_t> count{0};

  prometheus::ClientMetric collect() const {
    prometheus::ClientMetric metric;
    metric.label = {{"route", route->route},
                    {"method", std::string(methods[method])},
                    {"status", std::to_string(status)}};
    metric.counter.value = static_cast<double>(count.load(std::memory_order_relaxed));
    return metric;
  }
};

prometheus::MetricFamily family(const char* name, const char* help, prometheus::MetricType type) {
  return {name, help, type, {}};
}

} // namespace

/// About 70 routes, 8 methods and 20 statuses exist, few of them together: both tables are far from full.
struct http_metrics::tables {
  entry_table<route_entry, 512> routes;
  entry_table<request_entry, 8192> requests;
};

http_metrics::http_metrics()
    : tables_(std::make_unique<tables>()) {}
http_metrics::~http_metrics() = default;

void http_metrics::request_finished(std::string_view route, std::string_view method, unsigned status,
                                    double seconds) noexcept {
  if (route.empty())
    route = "unmatched";
  auto hash = std::hash<std::string_view>{}(route);
  auto verb = method_index(method);
  try {
    auto* timing = tables_->routes.find_or_make(
        hash, [&](const route_entry& entry) { return entry.route == route; },
        [&] {
          auto made = std::make_unique<route_entry>();
          made->route = route;
          return made;
        });
    if (!timing)
      return;
    timing->observe(seconds);
    auto* counting = tables_->requests.find_or_make(
        hash + verb * 1009u + status,
        [&](const request_entry& entry) {
          return entry.route == timing && entry.method == verb && entry.status == status;
        },
        [&] {
          auto made = std::make_unique<request_entry>();
          made->route = timing;
          made->method = verb;
          made->status = status;
          return made;
        });
    if (counting)
      counting->count.fetch_add(1, std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {
    // Only the first request of a kind allocates; better a lost count than a lost request.
  }
}

std::vector<prometheus::MetricFamily> http_metrics::Collect() const {
  auto connections = family("sandy_http_connections", "Client connections that are open now.",
                            prometheus::MetricType::Gauge);
  auto requests =
      family("sandy_http_requests_total", "Requests answered, by route pattern, method and status.",
             prometheus::MetricType::Counter);
  auto durations = family("sandy_http_request_duration_seconds",
                          "Time from a request's arrival to the last byte of its answer, by route pattern.",
                          prometheus::MetricType::Histogram);
  connections.metric.emplace_back().gauge.value =
      static_cast<double>(connections_.load(std::memory_order_relaxed));
  tables_->requests.for_each([&](const request_entry& entry) { requests.metric.push_back(entry.collect()); });
  tables_->routes.for_each([&](const route_entry& entry) { durations.metric.push_back(entry.collect()); });

  std::vector<prometheus::MetricFamily> all;
  for (auto* one : {&connections, &requests, &durations})
    if (!one->metric.empty())
      all.push_back(std::move(*one));
  return all;
}

} // namespace sandy::metrics
