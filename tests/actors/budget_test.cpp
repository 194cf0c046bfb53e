#include "actors/budget.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace std::chrono_literals;

namespace {

using time_point = token_bucket::time_point;

/// Some moment; the arithmetic must not care which.
constexpr time_point start{1'000'000s};

tenant_limits unlimited() { return {0, 0, 0, 0, 0, 0, 0}; }

budget with_requests(std::uint64_t per_second, std::uint64_t burst) {
  auto limits = unlimited();
  limits.requests_per_second = per_second;
  limits.request_burst = burst;
  return budget{limits};
}

/// How many requests are let through at one moment.
int drain(budget& of, request_cost cost, time_point now, int tries) {
  int through = 0;
  for (int i = 0; i < tries; ++i)
    through += of.admit(cost, now).refused_by == budget_kind::none ? 1 : 0;
  return through;
}

} // namespace

TEST_CASE("a bucket gives what it holds, then one token per step", "[budget]") {
  token_bucket bucket{2, 1s, 3};
  CHECK(bucket.remaining(start) == 3);
  for (int i = 3; i > 0; --i) {
    CHECK(bucket.until_next(start) == 0ns);
    bucket.take(start);
    CHECK(bucket.remaining(start) == static_cast<std::uint64_t>(i - 1));
  }
  CHECK(bucket.until_next(start) == 500ms);
  CHECK(bucket.until_full(start) == 1500ms);
  CHECK(bucket.until_next(start + 499ms) == 1ms);
  CHECK(bucket.remaining(start + 499ms) == 0);
  CHECK(bucket.until_next(start + 500ms) == 0ns);
  CHECK(bucket.remaining(start + 500ms) == 1);
  CHECK_FALSE(bucket.full(start + 1499ms));
  CHECK(bucket.full(start + 1500ms));
  CHECK(bucket.remaining(start + 24h) == 3); // it does not overflow
}

TEST_CASE("odd rates and extreme sizes keep their arithmetic", "[budget]") {
  token_bucket slow{1, 1h, UINT64_MAX};
  slow.take(start);
  CHECK(slow.remaining(start) == slow.size() - 1);
  CHECK(slow.until_next(start) == 0ns);
  token_bucket fast{UINT64_MAX, 1s, UINT64_MAX};
  fast.take(start);
  CHECK(fast.until_next(start) == 0ns);
  token_bucket third{3, 1s, 1};
  third.take(start);
  CHECK(third.until_next(start + 333ms) > 0ns);
  CHECK(third.until_next(start + 334ms) == 0ns);
}

TEST_CASE("requests are let through at their rate, with a burst after a pause", "[budget]") {
  auto budget = with_requests(10, 20);
  CHECK(drain(budget, request_cost::plain, start, 100) == 20);
  CHECK(drain(budget, request_cost::plain, start + 1s, 100) == 10);
  CHECK(drain(budget, request_cost::plain, start + 1h, 100) == 20);

  int through = 0;
  for (auto time = start + 2h; time < start + 2h + 10s; time += 1ms)
    through += drain(budget, request_cost::plain, time, 1);
  CHECK(through == 20 + 99); // the burst, and what flowed in: the 100th comes at the end of the tenth second
}

TEST_CASE("without a burst of its own a tenant has one second's worth", "[budget]") {
  auto budget = with_requests(5, 0);
  CHECK(drain(budget, request_cost::plain, start, 100) == 5);
}

TEST_CASE("a client is told what is left, and a refused one when to come back", "[budget]") {
  auto budget = with_requests(1, 3);
  auto first = budget.admit(request_cost::plain, start);
  CHECK(first.refused_by == budget_kind::none);
  CHECK(first.limit == 3);
  CHECK(first.remaining == 2);
  CHECK(first.reset == 1);
  budget.admit(request_cost::plain, start);
  CHECK(budget.admit(request_cost::plain, start).reset == 3);

  auto no = budget.admit(request_cost::plain, start + 100ms);
  CHECK(no.refused_by == budget_kind::requests);
  CHECK(no.limit == 3);
  CHECK(no.remaining == 0);
  CHECK(no.retry_after == 1); // 900 ms, rounded up
  CHECK(no.reset == 3);
  CHECK(budget.admit(request_cost::plain, start + 100ms + 1s).refused_by == budget_kind::none);
}

TEST_CASE("whoever is not limited is told of no limit", "[budget]") {
  budget free{unlimited()};
  for (auto cost : {request_cost::plain, request_cost::creation, request_cost::stream}) {
    auto decided = free.admit(cost, start);
    CHECK(decided.refused_by == budget_kind::none);
    CHECK(decided.limit == 0);
  }
}

TEST_CASE("creations are bounded by the minute and by the hour", "[budget]") {
  auto limits = unlimited();
  limits.creations_per_minute = 4;
  limits.creations_per_hour = 10;
  budget budget{limits};
  CHECK(drain(budget, request_cost::creation, start, 100) == 4);
  auto no = budget.admit(request_cost::creation, start);
  CHECK(no.refused_by == budget_kind::creations);
  CHECK(no.limit == 4);
  CHECK(no.retry_after == 15);
  CHECK(drain(budget, request_cost::plain, start, 100) == 100); // reading goes on

  CHECK(drain(budget, request_cost::creation, start + 1min, 100) == 4);
  CHECK(drain(budget, request_cost::creation, start + 2min, 100) ==
        2); // ten, and the hour has given no new one
  no = budget.admit(request_cost::creation, start + 2min);
  CHECK(no.limit == 10);
  CHECK(no.retry_after == 4 * 60); // the hour gives one every six minutes
}

TEST_CASE("a creation shows the budget that is nearest to its end", "[budget]") {
  auto limits = unlimited();
  limits.requests_per_second = 100;
  limits.creations_per_minute = 4;
  budget budget{limits};
  CHECK(budget.admit(request_cost::plain, start).limit == 100);
  auto made = budget.admit(request_cost::creation, start);
  CHECK(made.limit == 4);
  CHECK(made.remaining == 3);
  CHECK(made.reset == 15);
}

TEST_CASE("a refused creation is still a request", "[budget]") {
  auto limits = unlimited();
  limits.requests_per_second = 3;
  limits.creations_per_minute = 1;
  budget budget{limits};
  CHECK(budget.admit(request_cost::creation, start).refused_by == budget_kind::none);
  CHECK(budget.admit(request_cost::creation, start).refused_by == budget_kind::creations);
  CHECK(budget.admit(request_cost::creation, start).refused_by == budget_kind::creations);
  CHECK(budget.admit(request_cost::creation, start).refused_by == budget_kind::requests);
}

TEST_CASE("streams are bounded by how many run", "[budget]") {
  auto limits = unlimited();
  limits.streams = 2;
  budget budget{limits};
  CHECK(drain(budget, request_cost::stream, start, 5) == 2);
  auto no = budget.admit(request_cost::stream, start + 24h); // time alone frees nothing
  CHECK(no.refused_by == budget_kind::streams);
  CHECK(no.limit == 2);
  CHECK(no.remaining == 0);
  CHECK(no.retry_after > 0);
  CHECK_FALSE(budget.idle(start + 24h));
  budget.stream_ended();
  CHECK(drain(budget, request_cost::stream, start + 24h, 5) == 1);
  budget.stream_ended();
  budget.stream_ended();
  CHECK(budget.idle(start + 25h));
}

TEST_CASE("a budget is idle when all of it is there again", "[budget]") {
  auto limits = unlimited();
  limits.requests_per_second = 10;
  limits.creations_per_hour = 1;
  budget budget{limits};
  CHECK(budget.idle(start));
  budget.admit(request_cost::creation, start);
  CHECK_FALSE(budget.idle(start + 59min));
  CHECK(budget.idle(start + 1h));
}

TEST_CASE("changed limits count what was used before", "[budget]") {
  auto budget = with_requests(1, 10);
  CHECK(drain(budget, request_cost::plain, start, 6) == 6);
  auto limits = unlimited();
  limits.requests_per_second = 1;
  limits.request_burst = 8;
  budget.change(limits, start);
  CHECK(drain(budget, request_cost::plain, start, 10) == 2);
  limits.request_burst = 4; // less than was used: nothing is left, and no debt
  budget.change(limits, start);
  CHECK(drain(budget, request_cost::plain, start, 10) == 0);
  CHECK(drain(budget, request_cost::plain, start + 1s, 10) == 1);
  limits.requests_per_second = 0;
  budget.change(limits, start + 1s);
  CHECK(drain(budget, request_cost::plain, start + 1s, 100) == 100);
  limits.streams = 1;
  CHECK(drain(budget, request_cost::stream, start + 1s, 3) == 3);
  budget.change(limits, start + 1s); // those that run may end; a new one has no place
  CHECK(drain(budget, request_cost::stream, start + 1s, 1) == 0);
}

TEST_CASE("a tenant's sandboxes stay within their number and their memory", "[budget]") {
  auto limits = unlimited();
  CHECK(within_budget(limits, 1'000'000, 1ull << 60, 1ull << 60));
  limits.sandboxes = 3;
  CHECK(within_budget(limits, 2, 0, 1));
  auto no = within_budget(limits, 3, 0, 1);
  REQUIRE_FALSE(no);
  CHECK(code_of(no.error()) == errc::rate_limited);
  CHECK(text_of(no.error()) == "Active sandbox limit exceeded.");
  CHECK(retry_after_of(no.error()) > 0);

  limits.memory_bytes = 100;
  CHECK(within_budget(limits, 1, 60, 40));
  no = within_budget(limits, 1, 60, 41);
  REQUIRE_FALSE(no);
  CHECK(code_of(no.error()) == errc::rate_limited);
  CHECK_FALSE(within_budget(limits, 1, 200, 0)); // limits were lowered below what lives
  CHECK_FALSE(within_budget(limits, 1, 100, UINT64_MAX));
}
