#include "metrics/registry.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

using namespace sandy;
using metrics::registry;

namespace {

/// The value after "name{labels} "; -1 when the line is missing.
double value_of(const std::string& exposition, const std::string& series) {
  std::istringstream lines(exposition);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series + " "))
      return std::stod(line.substr(series.size() + 1));
  return -1;
}

void use_everything(registry& all) {
  for (auto state :
       {sandbox_state::creating, sandbox_state::ready, sandbox_state::draining, sandbox_state::gone})
    all.sandbox_entered("basic", state);
  all.sandbox_created("basic");
  for (int i = 0; i <= static_cast<int>(end_reason::idle); ++i)
    all.sandbox_ended(static_cast<end_reason>(i));
  for (int i = 0; i <= static_cast<int>(metrics::create_phase::total); ++i)
    all.create_timed(static_cast<metrics::create_phase>(i), 0.021);
  for (std::size_t i = 0; i < refusals; ++i)
    all.create_refused(static_cast<refusal>(i));
  all.preempted(metrics::preemption::creation);
  all.preempted(metrics::preemption::memory);
  all.room_shown(1000, 1.5, 20, 3000, 4);
  for (int i = 0; i <= static_cast<int>(budget_kind::streams); ++i)
    all.limit_refused(static_cast<budget_kind>(i));
  for (int i = 0; i <= static_cast<int>(metrics::exec_outcome::disconnected); ++i)
    all.exec_finished(static_cast<metrics::exec_outcome>(i), 0.25);
  for (int i = static_cast<int>(run_status::succeeded); i <= static_cast<int>(run_status::sandbox_ended);
       ++i) {
    all.agent_started();
    all.agent_finished(static_cast<run_status>(i), 30);
  }
  all.agent_started();
  all.guest_bytes(metrics::direction::in, 10);
  all.guest_bytes(metrics::direction::out, 2000);
  all.leaks_found(metrics::leak_kind::sandbox);
  all.leaks_found(metrics::leak_kind::record, 3);
  for (std::size_t i = 0; i < life_event_types; ++i)
    all.event_recorded(static_cast<life_event_type>(i));
  for (int i = 0; i <= static_cast<int>(metrics::webhook_outcome::dropped); ++i)
    all.webhook_finished(static_cast<metrics::webhook_outcome>(i), 2);
  all.network().sent(5);
  all.network().received(6);
  all.network().requests_with_secrets(7);
  all.network().opened();
  for (std::size_t i = 0; i < network_refusals; ++i) {
    all.network().connection(static_cast<network_refusal>(i));
    all.network().name(static_cast<network_refusal>(i));
  }
  auto& service = all.platform().service("llm");
  service.answered(503);
  service.tokens(1, 9);
  service.over_budget();
  service.breaker(2);
  all.platform().violation();
  all.http().connection_opened();
  all.http().request_finished("/api/sandboxes/{id}", "GET", 200, 0.002);
}

} // namespace

TEST_CASE("every event shows in the exposition", "[metrics]") {
  registry all("1.2.3", {"basic", "agent-ready"});
  use_everything(all);
  auto text = all.expose();

  CHECK(value_of(text, R"(sandy_build_info{version="1.2.3"})") == 1);
  CHECK(value_of(text, R"(sandy_sandboxes{flavor="basic",state="creating"})") == 1);
  CHECK(value_of(text, R"(sandy_sandboxes{flavor="basic",state="ready"})") == 1);
  CHECK(value_of(text, R"(sandy_sandboxes{flavor="basic",state="draining"})") == 1);
  CHECK(value_of(text, R"(sandy_sandboxes{flavor="agent-ready",state="ready"})") == 0);
  CHECK(value_of(text, R"(sandy_sandboxes_created_total{flavor="basic"})") == 1);
  for (auto reason : {"terminated", "expired", "failed", "preempted", "caller_gone", "shutdown"})
    CHECK(value_of(text, std::string(R"(sandy_sandboxes_ended_total{reason=")") + reason + "\"}") == 1);
  CHECK(text.find(R"(reason="none")") == std::string::npos);
  for (auto phase : {"queue", "driver", "store", "total"}) {
    CHECK(value_of(text, std::string(R"(sandy_sandbox_create_duration_seconds_count{phase=")") + phase +
                             "\"}") == 1);
    CHECK(value_of(text, std::string(R"(sandy_sandbox_create_duration_seconds_bucket{phase=")") + phase +
                             R"(",le="0.02"})") == 0);
    CHECK(value_of(text, std::string(R"(sandy_sandbox_create_duration_seconds_bucket{phase=")") + phase +
                             R"(",le="0.03"})") == 1);
  }
  for (auto cause : {"creation", "memory"})
    CHECK(value_of(text, std::string(R"(sandy_preemptions_total{cause=")") + cause + "\"}") == 1);
  CHECK(value_of(text, R"(sandy_network_bytes_total{direction="sent"})") == 5);
  CHECK(value_of(text, R"(sandy_network_bytes_total{direction="received"})") == 6);
  CHECK(value_of(text, "sandy_network_connections") == 1);
  CHECK(value_of(text, "sandy_network_requests_with_secrets_total") == 7);
  for (auto outcome :
       {"allowed", "mode", "address", "denied", "not_named", "wrong_host", "protocol", "too_many", "bytes"})
    for (auto family : {"connections", "names"})
      CHECK(value_of(text, std::string("sandy_network_") + family + "_total{outcome=\"" + outcome + "\"}") ==
            1);
  CHECK(value_of(text, R"(sandy_platform_requests_total{service="llm",status="5xx"})") == 1);
  CHECK(value_of(text, R"(sandy_platform_tokens_total{kind="output",service="llm"})") == 9);
  CHECK(value_of(text, R"(sandy_platform_over_budget_total{service="llm"})") == 1);
  CHECK(value_of(text, R"(sandy_platform_breaker_state{service="llm"})") == 2);
  CHECK(value_of(text, "sandy_platform_violations_total") == 1);
  CHECK(value_of(text, "sandy_promised_memory_bytes") == 1000);
  CHECK(value_of(text, "sandy_promised_cpu_cores") == 1.5);
  CHECK(value_of(text, "sandy_promised_pids") == 20);
  CHECK(value_of(text, "sandy_promised_disk_bytes") == 3000);
  CHECK(value_of(text, "sandy_creations_waiting") == 4);
  for (auto reason : {"max_sandboxes", "queue_full", "draining", "no_turn", "memory", "disk_left"})
    CHECK(value_of(text, std::string(R"(sandy_admission_refusals_total{reason=")") + reason + "\"}") == 1);
  for (auto kind : {"requests", "creations", "streams"})
    CHECK(value_of(text, std::string(R"(sandy_limiter_refusals_total{kind=")") + kind + "\"}") == 1);
  for (auto outcome : {"exited", "signaled", "timeout", "failed", "lost", "disconnected"})
    CHECK(value_of(text, std::string(R"(sandy_execs_total{outcome=")") + outcome + "\"}") == 1);
  CHECK(value_of(text, "sandy_agents_running") == 1);
  for (auto outcome : {"succeeded", "failed", "cancelled", "timed_out", "sandbox_ended"})
    CHECK(value_of(text, std::string(R"(sandy_agent_runs_total{outcome=")") + outcome + "\"}") == 1);
  CHECK(value_of(text, "sandy_agent_run_duration_seconds_count") == 5);
  CHECK(value_of(text, "sandy_exec_duration_seconds_count") == 3); // only where the exit was seen
  CHECK(value_of(text, R"(sandy_guest_bytes_total{direction="in"})") == 10);
  CHECK(value_of(text, R"(sandy_guest_bytes_total{direction="out"})") == 2000);
  CHECK(value_of(text, R"(sandy_janitor_leaks_total{kind="sandbox"})") == 1);
  CHECK(value_of(text, R"(sandy_janitor_leaks_total{kind="record"})") == 3);
  for (auto type : {"created", "renewed", "ending", "failed", "ended"})
    CHECK(value_of(text, std::string(R"(sandy_events_total{type="sandbox.)") + type + "\"}") == 1);
  for (auto outcome : {"delivered", "retried", "failed", "forbidden", "gone", "dropped"})
    CHECK(value_of(text, std::string(R"(sandy_webhook_deliveries_total{outcome=")") + outcome + "\"}") == 2);
  CHECK(value_of(text, "sandy_http_connections") == 1);
}

TEST_CASE("sandboxes of a flavor nobody configured count as other", "[metrics]") {
  registry all("1.2.3", {"basic"});
  all.sandbox_entered("from-an-older-configuration", sandbox_state::ready);
  CHECK(value_of(all.expose(), R"(sandy_sandboxes{flavor="other",state="ready"})") == 1);
  all.sandbox_left("from-an-older-configuration", sandbox_state::ready);
  CHECK(value_of(all.expose(), R"(sandy_sandboxes{flavor="other",state="ready"})") == 0);
}

TEST_CASE("the process is described by what the kernel says", "[metrics]") {
  registry all("1.2.3", {});
  auto text = all.expose();
  CHECK(value_of(text, "process_resident_memory_bytes") > 1 << 20);
  CHECK(value_of(text, "process_virtual_memory_bytes") > value_of(text, "process_resident_memory_bytes"));
  CHECK(value_of(text, "process_cpu_seconds_total") >= 0);
  CHECK(value_of(text, "process_max_fds") > 0);
  auto started = value_of(text, "process_start_time_seconds");
  CHECK(started > static_cast<double>(::time(nullptr)) - 3600);
  CHECK(started < static_cast<double>(::time(nullptr)) + 2);

  auto before = value_of(text, "process_open_fds");
  int extra = ::dup(0);
  REQUIRE(extra >= 0);
  CHECK(value_of(all.expose(), "process_open_fds") == before + 1);
  ::close(extra);
}

TEST_CASE("promtool finds nothing to object to", "[metrics]") {
  registry all("1.2.3", {"basic"});
  use_everything(all);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> tool(::popen(PROMTOOL " check metrics", "w"), ::pclose);
  REQUIRE(tool);
  auto text = all.expose();
  REQUIRE(std::fwrite(text.data(), 1, text.size(), tool.get()) == text.size());
  CHECK(::pclose(tool.release()) == 0); // 3 for a name or help text it does not like
}
