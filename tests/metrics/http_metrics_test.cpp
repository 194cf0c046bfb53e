#include "metrics/http_metrics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using sandy::metrics::http_metrics;

namespace {

std::optional<prometheus::MetricFamily> family(const http_metrics& from, const std::string& name) {
  for (auto& one : from.Collect())
    if (one.name == name)
      return one;
  return std::nullopt;
}

std::map<std::string, double> request_counts(const http_metrics& from) {
  std::map<std::string, double> counts;
  if (auto requests = family(from, "sandy_http_requests_total"))
    for (const auto& metric : requests->metric)
      counts[metric.label[0].value + " " + metric.label[1].value + " " + metric.label[2].value] =
          metric.counter.value;
  return counts;
}

} // namespace

TEST_CASE("requests are counted by route, method and status", "[http_metrics]") {
  http_metrics http;
  http.request_finished("/api/health", "GET", 200, 0.0001);
  http.request_finished("/api/health", "GET", 200, 0.0001);
  http.request_finished("/api/health", "GET", 503, 0.0001);
  http.request_finished("/api/sandboxes", "POST", 200, 0.03);
  http.request_finished("", "GET", 404, 0.0001);
  http.request_finished("/api/sandboxes", "BREW", 405, 0.0001);
  CHECK(request_counts(http) == std::map<std::string, double>{{"/api/health GET 200", 2},
                                                              {"/api/health GET 503", 1},
                                                              {"/api/sandboxes POST 200", 1},
                                                              {"unmatched GET 404", 1},
                                                              {"/api/sandboxes OTHER 405", 1}});
}

TEST_CASE("a route is known by its text, not by where the text lies", "[http_metrics]") {
  http_metrics http;
  http.request_finished(std::string("/api/health"), "GET", 200, 0.001);
  http.request_finished(std::string("/api/health"), std::string("GET"), 200, 0.001);
  CHECK(request_counts(http) == std::map<std::string, double>{{"/api/health GET 200", 2}});
}

TEST_CASE("durations fall into cumulative buckets with their sum", "[http_metrics]") {
  http_metrics http;
  for (double seconds : {0.0, 0.0001, 0.002, 0.002, 1000.0})
    http.request_finished("/x", "GET", 200, seconds);
  auto durations = family(http, "sandy_http_request_duration_seconds");
  REQUIRE(durations);
  REQUIRE(durations->metric.size() == 1);
  const auto& histogram = durations->metric[0].histogram;
  CHECK(histogram.sample_count == 5);
  CHECK(histogram.sample_sum == Approx(1000.0041));
  CHECK(histogram.bucket.front().upper_bound == 0.0001);
  CHECK(histogram.bucket.front().cumulative_count == 2); // a bound belongs to its bucket
  CHECK(histogram.bucket.at(3).cumulative_count == 2);   // up to 1 ms
  CHECK(histogram.bucket.at(4).cumulative_count == 4);   // up to 2.5 ms
  CHECK(histogram.bucket.at(histogram.bucket.size() - 2).cumulative_count == 4);
  CHECK(histogram.bucket.back().cumulative_count == 5);
}

TEST_CASE("connections are those open now", "[http_metrics]") {
  http_metrics http;
  http.connection_opened();
  http.connection_opened();
  http.connection_closed();
  CHECK(family(http, "sandy_http_connections")->metric.at(0).gauge.value == 1);
}

TEST_CASE("threads that count at once lose nothing", "[http_metrics]") {
  http_metrics http;
  constexpr int threads = 4, rounds = 5000;
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back([&http, t] {
      for (int i = 0; i < rounds; ++i)
        http.request_finished("/r" + std::to_string(i % 50), t % 2 ? "GET" : "POST", 200 + i % 3, 0.001);
    });
  for (auto& one : running)
    one.join();
  double total = 0;
  auto counts = request_counts(http);
  for (const auto& [key, count] : counts)
    total += count;
  CHECK(total == threads * rounds);
  CHECK(counts.size() == 50 * 2 * 3);
}

TEST_CASE("labels without end do not grow the table without end", "[http_metrics]") {
  http_metrics http;
  for (int i = 0; i < 20'000; ++i)
    http.request_finished("/route/" + std::to_string(i), "GET", 200, 0.001);
  CHECK(request_counts(http).size() <= 512);
  http.request_finished("/route/1", "GET", 200, 0.001); // what was known still counts
  CHECK(request_counts(http)["/route/1 GET 200"] == 2);
}
