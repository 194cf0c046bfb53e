#pragma once

#include "actors/sandbox_life.hpp"
#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/worker.hpp"
#include "runtime/driver.hpp"
#include "runtime/guest/guest_io.hpp"
#include "runtime/network_gate.hpp"
#include "runtime/relay_door.hpp"
#include "store/store.hpp"

#include <deque>
#include <map>
#include <memory>

namespace sandy {

/// State of one sandbox: its lease, its life, and the kernel objects behind it.
///
/// Owns: the record in the store, the kernel's sandbox (through the driver), the entry in the data plane. It
/// starts with `start_sandbox`, ends by `end_sandbox`, by its lease, or when its process 1 ends; then it
/// destroys what it owns, answers everybody who waits for that, and quits. If it crashes instead, its worker
/// cleans up.
///
/// Its files: sandbox_starting, sandbox_lease (how long it may live), sandbox_pause, sandbox_agents,
/// sandbox_containers, sandbox_workload (the program of its own image), sandbox_network, sandbox_entrance
/// (its ports), sandbox_ending.
class sandbox_state_machine {
public:
  static inline const char* name = "sandbox";
  using self_pointer = coro::actor<sandbox_state_machine, sandbox_actor>*;

  /// @param found set when the sandbox runs already (recovery): then `start_sandbox` only takes it over.
  sandbox_state_machine(self_pointer self, services* env, sandbox_record record,
                        std::shared_ptr<runtime::instance> found, worker_actor worker);
  sandbox_state_machine(const sandbox_state_machine&) = delete;
  sandbox_state_machine& operator=(const sandbox_state_machine&) = delete;
  ~sandbox_state_machine();
  sandbox_actor::behavior_type make_behavior();

private:
  caf::result<sandbox_info> start(start_sandbox);
  caf::result<sandbox_ended> end(end_sandbox message);
  caf::result<sandbox_info> refresh(refresh_sandbox message);
  caf::result<sandbox_opened> open(open_sandbox message);
  caf::result<sandbox_opened> open_paused();
  caf::result<sandbox_info> pause(pause_sandbox message);
  caf::result<sandbox_info> resume(resume_sandbox message);
  caf::result<sandbox_stats> stats(get_stats message);
  caf::result<bool> probe(probe_port message);
  std::vector<log_line> logs(const get_logs& message) const;
  caf::result<layer_kept> keep(keep_layer message);
  caf::result<agent_run_started> run(run_agent message);
  caf::result<bool> cancel(cancel_agent message);
  coro::task<void> open_model_door();
  caf::result<agent_run_info> describe_run(get_agent_run message);
  caf::result<std::vector<agent_run_info>> list_runs(list_agent_runs message);
  coro::task<std::vector<agent_run_record>> stored_runs();
  coro::task<void> end_lost_runs();
  static std::vector<std::string> agents_in(services& env, const runtime::instance& where);
  coro::task<void> end_lost_run(agent_run_record run);
  coro::task<process_exit> exit_of_lost(std::uint32_t process_id);

  struct found_image {
    std::string name; ///< in the store
    runtime::image_program program;
  };
  caf::result<container_info> run_in(run_container message);
  caf::result<std::vector<container_info>> list_in(list_containers message);
  caf::result<container_info> get_in(get_container message);
  caf::result<container_info> stop_in(stop_container message);
  caf::result<container_info> remove_in(remove_container message);
  result<void> use_key_of(const container_program& program);
  coro::task<container_info> begin_container(container_record record, container_order order,
                                             found_image image);
  coro::task<std::shared_ptr<runtime::instance>> make_container(container_info info, std::string image);
  coro::task<std::uint16_t> free_port(container_id whose, std::uint16_t wanted);
  struct opened_container {
    container_actor actor;
    std::shared_ptr<container_box> box;
  };
  opened_container open_container(container_record record, const runtime::instance& where, environment base,
                                  bool found);
  coro::task<void> name_hosts_in(std::shared_ptr<container_box> box);
  coro::task<container_info> describe(container_id id);
  coro::task<void> forget_container(container_id id);
  coro::task<void> find_containers();
  coro::task<void> find_each_container();
  coro::task<void> find_container(container_record record);
  void let_go_of(const container_id& id);
  void let_go_of_containers();
  coro::task<std::shared_ptr<container_record>> plan_workload();
  coro::task<void> begin_workload(container_record record);
  coro::task<void> find_workload(container_record record);
  coro::task<void> end_workload(container_id id);

  caf::result<network_report> show_network(get_network message);
  caf::result<network_report> set_network(sandy::set_network message);
  caf::result<void> bound(bound_network message);
  coro::task<void> open_network();
  coro::task<void> change_network();
  coro::task<void> count_network();
  void let_policy_hold();
  network_report network_now() const;

  caf::result<sandbox_info> claim(claim_sandbox message);
  coro::task<void> make();
  void take_over(runtime::instance made);
  coro::task<void> open_inside();
  coro::task<void> finish(end_reason reason);
  coro::task<void> watch_lease();
  coro::task<void> watch_idle();
  coro::task<void> ask_quiet_time();
  coro::task<void> watch_init();
  coro::task<void> keep_guest(); ///< alive: it ends itself when it hears from no server
  coro::task<void> renew_guest();
  coro::task<void> wake();
  coro::task<void> freeze(pause_cause cause);
  coro::task<void> thaw();
  coro::task<void> stop_processes();
  coro::task<void> store_paused(pause_cause cause);
  bool unused_for_long() const;
  coro::task<void> persist();
  environment variables() const;
  environment secret_variables() const;
  coro::task<void> prepare_secrets();
  void settle_workdir();
  void open_data(); ///< makes its bytes and its ports reachable, for the owner of now
  void open_entrance();
  void show_entrance(); ///< whether it is paused
  result<void> serve_inside();
  void arm_lease();
  void arm_idle();
  void show_state(); ///< in the metrics and to callers, after a transition
  void log(std::string line);
  void publish(life_event_type type);

  self_pointer self_;
  services& env_;
  caf::weak_actor_ptr worker_; ///< weak: our owner must not be kept alive by us
  sandbox_record record_;
  std::shared_ptr<runtime::instance> instance_;
  runtime::unique_fd listener_; ///< inside; kept to serve it again for an owner who comes later
  std::shared_ptr<void>
      inside_; ///< serves the API inside; must not outlive the sandbox, whose network it holds
  std::shared_ptr<runtime::relay_door> model_door_; ///< leads its agents to a model
  std::shared_ptr<runtime::network_gate> gate_;     ///< where it reaches the world
  coro::semaphore changing_network_{1};
  bool gate_has_secrets_ = false;
  bool counting_ = false;                   ///< what goes through the gate
  std::shared_ptr<guest::end_state> ended_; ///< tells the data plane's users why their streams broke
  sandbox_life life_;
  bool claiming_ = false; ///< its owner to be has not heard of it, and never will when the claim fails
  coro::event created_;   ///< the creation is over, well or not: the end may take apart what it made
  coro::event gone_;
  coro::task<void> lease_;     ///< replaced by a refresh, which cancels the old timer
  coro::task<void> idle_;      ///< replaced when it is resumed
  coro::semaphore pausing_{1}; ///< held while its processes are stopped or let go on, or its files copied
  bool copying_ = false;
  coro::semaphore beginning_run_{1};
  bool server_stops_ = false; ///< no agent starts any more
  agent_run_actor run_;       ///< the agent at work, or the last that was
  struct contained {
    container_actor actor; ///< none: it is being made, or is over
    container_info last;   ///< that was heard of it
    bool making = false;   ///< it is begun, and not to be removed by others meanwhile
  };
  std::map<container_id, contained> containers_;
  coro::event containers_found_; ///< of a sandbox that ran before we did
  std::deque<log_line> log_;
  std::uint64_t last_cpu_usec_ = 0;
  coro::time_point last_cpu_at_{};
};

} // namespace sandy
