#pragma once

#include "coro/ask.hpp"
#include "http/codec/agent.hpp"

#include <caf/send.hpp>

#include <chrono>
#include <utility>

namespace sandy::http::routes {

/// The events of a run of an agent. Whoever stops reading tells the run.
class run_reader {
public:
  explicit run_reader(agent_run_actor run)
      : run_(std::move(run)) {}
  run_reader(const run_reader&) = delete;
  run_reader& operator=(const run_reader&) = delete;
  ~run_reader() { caf::anon_send(run_, leave_agent_run{}); }

  /// Never fails: clients wait for the event that ends a stream, whatever happens.
  io_task<result<agent_events>> next() {
    auto events = co_await ask(run_, read_agent_events{}, silence);
    if (!events)
      co_return agent_events{codec::lost_run_events(events.error()), true};
    co_return events;
  }
  io_task<result<agent_run_info>> info() {
    auto info = co_await ask(run_, get_agent_run{}, silence);
    co_return info;
  }

private:
  /// A run is silent for no longer than the time between two heartbeats, 5 s.
  static constexpr std::chrono::seconds silence{30};
  agent_run_actor run_;
};

} // namespace sandy::http::routes
