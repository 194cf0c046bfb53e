#pragma once

#include "actors/creation.hpp"
#include "actors/family.hpp"
#include "actors/layers.hpp"
#include "actors/room.hpp"
#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/worker.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"
#include "store/store.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

namespace sandy {

/// State of the worker: which sandboxes live on this machine, whose they are, and whether there is room for
/// another.
///
/// Spawns and monitors the sandbox actors, the janitor and the switchboard. At the start it takes over what a
/// previous server left running and buries the rest; it answers nothing before that is done. A sandbox actor
/// that crashes is cleaned up here; the janitor is started again.
class worker_state {
public:
  static inline const char* name = "worker";
  using self_pointer = coro::actor<worker_state, worker_actor>*;

  worker_state(self_pointer self, services* env);
  worker_state(const worker_state&) = delete;
  worker_state& operator=(const worker_state&) = delete;
  /// Ends the actors below it. Their sandboxes live on.
  ~worker_state();
  worker_actor::behavior_type make_behavior();

private:
  /// Copies of file systems at a time: the disk does not get faster.
  static constexpr std::size_t copies_at_once = 2;
  /// Until who waits for its turn to copy is told to come again: copying itself has to fit into what callers
  /// wait, too.
  static constexpr std::chrono::seconds copy_patience{30};
  /// How long a repeated terminate of the same sandbox is answered with success.
  static constexpr unix_millis tombstone_life_ms = 3'600'000;

  struct child {
    sandbox_actor handle;
    tenant_id tenant;
    sandbox_id parent;
    resource_limits limits;
    std::uint8_t priority = 2;
    std::uint32_t uid_slot = 0;
    unix_millis created_at = 0;
    bool ready = false;
    bool warm = false; ///< nobody's: for a pool to hand out
    bool preemptable = false;
    bool doomed = false; ///< it, or what it ends with, was chosen to make room
    std::string flavor;
    layers::hold layer;                   ///< what it is made from
    network_policy network;               ///< its own; its ancestors' hold too
    end_reason ending = end_reason::none; ///< set when its end has begun: no more children
  };

  caf::result<sandbox_info> create(create_sandbox request);
  caf::result<std::vector<sandbox_info>> list(list_sandboxes request);
  caf::result<sandbox_ended> terminate(terminate_sandbox request);
  caf::result<std::vector<sandbox_stats>> stats(get_stats request);
  caf::result<worker_health> health(get_health);
  caf::result<worker_resources> resources(get_resources);
  caf::result<std::vector<resource_sample>> timeseries(get_timeseries request);
  caf::result<void> ending(sandbox_ending notice);
  caf::result<void> close(close_worker request);
  caf::result<void> drain(drain_worker request);
  void accept_no_more();
  caf::result<sandbox_connection> connect(connect_sandboxes request);
  caf::result<void> disconnect(disconnect_sandboxes request);
  caf::result<std::vector<sandbox_connection>> connections(list_connections request);
  caf::result<std::vector<agent_info>> agents(list_agents request);
  coro::task<void> end_agents();

  /// The living sandbox, if the caller reaches it; nullptr otherwise.
  child* find(const principal& caller, const sandbox_id& id);
  bool reaches(const principal& caller, const tenant_id& tenant, const sandbox_id& id) const;
  tombstone stone_of(const sandbox_id& id, const child& dead) const;
  void forget(const sandbox_id& id);
  coro::task<void> end_children(sandbox_id id);
  coro::task<void> end_all(std::vector<sandbox_id> ids, end_reason why);
  void end_orphans();
  result<const child*> parent_of(const create_sandbox& request);
  template <class Reply, class Request>
  caf::result<Reply> pass_on(Request request);

  std::shared_ptr<creation> begin_creation(const caf::actor_addr& caller, const sandbox_record& planned);
  void end_creation(const caf::actor_addr& caller, const std::shared_ptr<creation>& order,
                    const sandbox_id& made);
  bool caller_down(const caf::down_msg& down);
  /// A warm sandbox made the caller's. Fails with capacity_exhausted when there is none, with cancelled when
  /// the caller is gone.
  coro::task<sandbox_info> claim(sandbox_record wanted, std::shared_ptr<creation> order);
  coro::task<sandbox_info> make_cold(sandbox_record wanted, std::shared_ptr<creation> order);
  coro::task<sandbox_info> make_claimed_or_cold(sandbox_record wanted, std::shared_ptr<creation> order);
  coro::task<sandbox_info> start_cold(sandbox_record wanted, std::shared_ptr<creation> order);

  // Admission: worker_admission.cpp. Who waits, and who is next.
  coro::task<void> take_place(std::shared_ptr<creation> order);
  coro::task<void> take_turn(std::shared_ptr<creation> order);
  coro::task<void> wait_in_line(creation_line& line, std::shared_ptr<creation> order,
                                creation::stage creation::* stage);
  void give_places(); ///< to whom there is room for; call when that may have changed
  void give_turns();
  void end_turn();
  void give_up(const std::shared_ptr<creation>& order, caf::error why);
  amounts promised() const;
  amounts held_by_warm() const;
  std::optional<refusal> shortage(const amounts& wanted) const;
  caf::error refused(refusal reason);
  std::size_t waiting() const { return for_place_.size() + for_turn_.size(); }

  // Preemption: worker_preempt.cpp.
  amounts about_to_go() const;
  std::vector<candidate> candidates(int above_priority, const sandbox_id& spare) const;
  std::optional<amounts> preempt_for(const creation& order, const amounts& wanted);
  void preempt(const candidate& victim, metrics::preemption cause);
  void relieve_memory();
  bool fits_warm(const sandbox_record& wanted) const;
  std::uint32_t claimed() const; ///< sandboxes that are somebody's
  std::vector<pool_health> pool_numbers() const;
  void spawn_pool(const std::string& kind);
  bool pool_down(const caf::down_msg& down);
  void pool_changed(pool_health numbers);
  void offer_found_members();
  void leave_pool(const sandbox_id& id, const child& dead);
  void retire(const sandbox_id& id);
  bool evict_warm();
  caf::result<sandbox_id> make_warm(create_warm request);
  void set_warm(child& entry, bool warm);

  bool connectable(const principal& caller, const sandbox_id& id);
  result<void> may_connect(const create_sandbox& request);
  coro::task<sandbox_info> connect_new(principal caller, sandbox_info made, std::vector<sandbox_id> targets);
  coro::task<void> leave_connections(sandbox_id id);
  coro::task<void> restore_connections();
  void spawn_switchboard();
  bool switchboard_down(const caf::down_msg& down);

  // What sandboxes reach of the world: worker_network.cpp.
  network_policy network_for(const network_policy& wanted, const child* parent) const;
  std::vector<network_bound> bounds_below(sandbox_id parent) const;
  caf::result<network_report> set_network(sandy::set_network request);
  coro::task<void> bound_descendants(network_bound bound);

  // Images and snapshots: worker_images.cpp.
  struct kept_layer {
    layers::hold hold;
    layer_kept answer;
  };
  caf::result<std::vector<image_info>> images(list_images request);
  caf::result<image_info> snapshot(snapshot_sandbox request);
  caf::result<image_info> remove_snapshot(remove_image request);
  caf::result<std::vector<sandbox_info>> fork(fork_sandbox request);
  coro::task<kept_layer> keep(principal caller, sandbox_id id, std::string image);
  coro::task<layer_kept> copy(layer_record record, sandbox_actor source);
  coro::task<void> copy_turn(coro::semaphore::permit& turn);
  coro::task<void> end_copies();
  coro::task<void> store_layer(layer_record record);
  coro::task<void> read_layers();
  coro::task<void> collect_layers();
  coro::task<void> sweep_layers();
  coro::task<void> sweep_images();
  coro::task<image_info> remove_imported(remove_image request);
  static create_sandbox fork_of(const fork_sandbox& request, const layer_kept& original);

  // Recovery: worker_recovery.cpp.
  coro::task<void> recover();
  coro::task<void> recover_one(sandbox_record record);
  coro::task<void> clean_up(tombstone stone);
  coro::task<void> sample_host();
  /// @param on what it is made from instead of the image; empty: nothing.
  result<sandbox_record> plan(const create_sandbox& request, const layers::hold& on = nullptr);
  sandbox_actor spawn_sandbox(const sandbox_record& record, std::shared_ptr<runtime::instance> found);
  void spawn_janitor();
  void child_down(const caf::down_msg& down);
  void bury(const tombstone& stone);
  bool parent_lives(const sandbox_info& child) const;
  result<void> tenant_has_room(const sandbox_info& wanted) const;
  result<sandbox_info> may_create(const create_sandbox& request);
  bool watched(const caf::actor_addr& caller) const;

  /// Somebody waits for an image. Lives in the frame that waits.
  struct image_wait {
    coro::event over; ///< the image is there, or cannot be had, or nobody waits for it any more
    std::optional<result<void>> outcome;
    bool gone = false;       ///< the caller
    coro::task<void> work{}; ///< destroyed first: it writes the others
  };
  coro::task<void> image_there(caf::actor_addr caller, std::string image);
  coro::task<void> fetch_for(image_wait* wait, std::string image);
  sandbox_record blank(const std::string& kind);
  std::uint32_t free_slot();

  self_pointer self_;
  services& env_;
  struct pool {
    warm_pool_actor handle;
    pool_health numbers;
  };

  std::unordered_map<sandbox_id, child> live_;
  std::map<std::string, pool> pools_; ///< by flavor
  std::map<caf::actor_addr, sandbox_id> by_address_;
  std::multimap<caf::actor_addr, std::shared_ptr<creation>>
      creating_for_; ///< by caller: when one dies they are undone
  std::multimap<caf::actor_addr, image_wait*>
      waiting_for_image_;                             ///< by caller: when one dies it waits no more
  std::multimap<caf::actor_addr, sandbox_id> unread_; ///< made for a caller who may not have heard of it yet
  std::unordered_map<sandbox_id, tombstone> tombstones_;
  family family_;
  layers layers_;
  coro::semaphore copies_{copies_at_once};
  coro::semaphore collecting_{1};
  std::set<std::uint32_t> slots_;
  std::uint32_t next_slot_ = 0;
  janitor_actor janitor_;
  switchboard_actor switchboard_;
  creation_line for_place_;     ///< no room for them yet
  creation_line for_turn_;      ///< there is room, but too many are being made
  std::uint64_t creations_ = 0; ///< begun so far
  std::uint32_t warm_ = 0;      ///< of live_
  std::uint32_t creating_ = 0;  ///< running and waiting
  std::uint32_t making_ = 0;    ///< running, warm ones included
  sandbox_id preempted_;        ///< the last one that ended for want of memory
  bool accepting_ = true;
  coro::event recovered_;
  runtime::host_load load_;
  room room_;
};

} // namespace sandy
