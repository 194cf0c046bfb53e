#include "actors/sandbox.hpp"

#include "coro/offloaded.hpp"

namespace sandy {

// The way into its ports: what the edge needs to lead requests there without asking us each time.

namespace {

runtime::entrance_state state_for(pause_cause cause) {
  switch (cause) {
  case pause_cause::none:
    return runtime::entrance_state::open;
  case pause_cause::caller:
    return runtime::entrance_state::paused;
  case pause_cause::idle:
    return runtime::entrance_state::asleep;
  }
  return runtime::entrance_state::paused;
}

} // namespace

/// For the owner of now. A sandbox that is nobody's yet has no entrance.
void sandbox_state_machine::open_entrance() {
  const auto& info = record_.info;
  if (info.tenant.value.empty())
    return;
  auto made = std::make_shared<runtime::entrance>();
  made->id = info.id;
  made->tenant = info.tenant;
  made->exposed_ports = info.expose_ports;
  made->private_ports = info.private_ports;
  made->own_ports = {inside_port, model_port};
  made->uses = ended_->uses;
  if (life_.state() == sandbox_state::ready) {
    const auto given = variables();
    made->runtime_port = runtime::port_from(given, "SANDY_RUNTIME_PORT", made->runtime_port);
    made->artifact_port = runtime::port_from(given, "JANUS_ARTIFACT_PORT", made->artifact_port);
    made->state = state_for(info.paused);
    // Holds its first process by a descriptor, which does not keep its network.
    made->sockets = [&driver = env_.driver, threads = env_.kernel_calls, where = instance_](int family) {
      return coro::offloaded<runtime::unique_fd>(
          threads, [&driver, where, family] { return driver.open_socket(*where, family); });
    };
  }
  env_.entrances->open(std::move(made));
}

void sandbox_state_machine::show_entrance() {
  env_.entrances->set_state(record_.info.id, state_for(record_.info.paused));
}

} // namespace sandy
