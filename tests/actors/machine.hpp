#pragma once

#include "actors/services.hpp"
#include "actors/worker.hpp"
#include "coro/pool.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"
#include "runtime/guest/local_data_plane.hpp"
#include "store/store.hpp"
#include "support/deterministic.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>

namespace sandy::tests {

/// A machine in memory: what the kernel holds is a set of ids.
class memory_driver final : public runtime::driver {
public:
  std::string name() const override { return "memory"; }
  result<runtime::instance> create(const runtime::sandbox_spec& spec) override {
    ++creations;
    if (fail_create)
      return fail(errc::sandbox_failed, "no luck");
    present.insert(spec.id);
    history.push_back("create " + spec.id.value);
    below[spec.id] = spec.layer;
    last = spec;
    return make();
  }
  result<bool> prepare_image(const runtime::sandbox_spec&) override { return at_hand(); }
  result<bool> prepare_image(const runtime::container_spec&) override { return at_hand(); }
  result<runtime::instance> attach(const sandbox_id& id) override {
    if (present.count(id) == 0 || dead.count(id) != 0)
      return fail(errc::sandbox_not_found, "not running");
    return make();
  }
  result<void> verify(const sandbox_id& id, const runtime::instance&) override {
    if (dead.count(id) != 0 || silent_when_frozen.count(id) != 0)
      return fail(errc::sandbox_failed, "no answer");
    return caf::unit;
  }
  result<void> pause(const sandbox_id& id) override {
    ++pauses;
    if (on_pause)
      on_pause();
    if (fail_pause)
      return fail(errc::sandbox_failed, "a process cannot be stopped");
    frozen.insert(id);
    return caf::unit;
  }
  result<void> resume(const sandbox_id& id) override {
    if (fail_resume)
      return fail(errc::internal, "the kernel does not want to");
    frozen.erase(id);
    return caf::unit;
  }
  result<runtime::unique_fd> make_group(const sandbox_id& id, const std::string& name) override {
    groups.insert(id.value + "/" + name);
    return runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)};
  }
  result<void> end_group(const sandbox_id& id, const std::string& name) override {
    ++groups_ended;
    if (fail_end_group)
      return fail(errc::sandbox_failed, "a process does not die");
    groups.erase(id.value + "/" + name);
    if (on_group_end)
      on_group_end();
    return caf::unit;
  }
  result<void> remove_empty_groups(const sandbox_id&) override {
    groups.clear();
    return caf::unit;
  }
  result<std::chrono::milliseconds> quiet_time(const runtime::instance&) override {
    if (on_quiet_time)
      on_quiet_time();
    if (!guest_answers)
      return fail(errc::sandbox_failed, "no answer");
    return clock() - last_sign;
  }
  result<unix_millis> image_changed_at(const std::string&) override { return image_made; }
  result<std::vector<runtime::installed_image>> images() override {
    std::vector<runtime::installed_image> all{{"basic", image_made}};
    all.insert(all.end(), imported.begin(), imported.end());
    return all;
  }
  result<void> remove_image(const std::string& name) override {
    if (name == "basic")
      return fail(errc::forbidden, "built");
    if (std::erase_if(imported, [&](const auto& each) { return each.name == name; }) == 0)
      return fail(errc::image_not_found, "no image has this name");
    return caf::unit;
  }
  result<void> sweep_images() override {
    ++image_sweeps;
    return caf::unit;
  }
  result<void> destroy(const sandbox_id& id) override {
    ++destructions;
    if (failing_destroys > 0) {
      --failing_destroys;
      return fail(errc::internal, "busy");
    }
    present.erase(id);
    history.push_back("destroy " + id.value);
    frozen.erase(id);
    return caf::unit;
  }
  result<std::vector<sandbox_id>> list() override {
    return std::vector<sandbox_id>{present.begin(), present.end()};
  }
  result<usage> stats(const sandbox_id&) override { return usage{cpu_usec += 500'000, 1000, 2000, 3, 0}; }
  result<void> set_limits(const sandbox_id& id, const resource_limits& limits) override {
    limits_set[id] = limits;
    return caf::unit;
  }
  result<runtime::unique_fd> connect(const runtime::instance&, std::uint16_t port) override {
    if (port != 3000)
      return fail(errc::upstream_error, "nothing listens");
    return runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)};
  }
  result<runtime::unique_fd> listen(const runtime::instance&, std::uint16_t port) override {
    if (fail_listen || taken_ports.contains(port))
      return fail(errc::conflict, "taken");
    return runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)};
  }
  result<runtime::unique_fd> open_socket(const runtime::instance&, int) override {
    return runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)};
  }
  result<runtime::connection_capture> capture(const runtime::instance&,
                                              const runtime::captured_range&) override {
    if (fail_capture)
      return fail(errc::feature_unavailable, "no such kernel");
    ++captures;
    return runtime::connection_capture{runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)},
                                       runtime::unique_fd{::eventfd(0, EFD_CLOEXEC)}};
  }
  result<runtime::network_capture> capture_network(const runtime::instance&) override {
    if (fail_capture)
      return fail(errc::feature_unavailable, "no such kernel");
    return runtime::network_capture{};
  }

  result<runtime::layer_copy> copy_layer(const sandbox_id& id, const layer_id& to) override {
    if (fail_copy)
      return fail(errc::capacity_exhausted, "the disk is full");
    kept_layers.insert(to);
    return runtime::layer_copy{below[id], 4096};
  }
  bool has_program(const std::string& name) override { return programs.contains(name); }
  bool has_program(const std::string& name, const runtime::instance&) override { return has_program(name); }
  result<void> end_copies() override {
    ++copies_ended;
    return caf::unit;
  }
  result<void> remove_layer(const layer_id& id) override {
    kept_layers.erase(id);
    return caf::unit;
  }
  result<std::vector<layer_id>> layers() override {
    return std::vector<layer_id>{kept_layers.begin(), kept_layers.end()};
  }

  result<runtime::instance> create_container(const runtime::container_spec& spec) override {
    if (fail_create)
      return fail(errc::sandbox_failed, "no luck");
    contained[spec.sandbox].insert(spec.id);
    history.push_back("create container");
    last_container = spec;
    return make();
  }
  result<runtime::instance> attach_container(const sandbox_id& sandbox, const container_id& id) override {
    if (!contained[sandbox].contains(id) || dead_containers.contains(id))
      return fail(errc::container_not_found, "not running");
    return make();
  }
  result<void> destroy_container(const sandbox_id& sandbox, const container_id& id) override {
    if (frozen.contains(sandbox))
      return fail(errc::sandbox_failed, "it stands still");
    contained[sandbox].erase(id);
    history.push_back("destroy container");
    return caf::unit;
  }
  result<std::vector<container_id>> containers(const sandbox_id& sandbox) override {
    const auto& own = contained[sandbox];
    return std::vector<container_id>{own.begin(), own.end()};
  }
  result<runtime::image_program> program_of(const std::string& image) override {
    if (image == "none")
      return fail(errc::image_not_found, "no image has this name");
    return image == "basic" || image == "served" ? runtime::image_program{{"/serve"}, {}, "app"}
                                                 : runtime::image_program{};
  }

  std::map<sandbox_id, std::set<container_id>> contained;
  std::set<container_id> dead_containers;
  runtime::container_spec last_container;
  std::set<std::uint16_t> taken_ports; ///< inside every sandbox
  std::vector<runtime::installed_image> imported;
  std::string workdir; ///< that images ask for
  int image_sweeps = 0;
  std::set<sandbox_id> present;
  std::set<sandbox_id> dead;
  std::vector<std::string> history; ///< "create <id>" and "destroy <id>", those that went well
  std::set<sandbox_id> frozen;
  std::set<sandbox_id> silent_when_frozen; ///< found, because nobody asks the frozen, but dead
  std::set<std::string> groups;            ///< "<id>/<name>"
  int groups_ended = 0;                    ///< also those that failed
  bool fail_end_group = false;
  std::function<void()> on_group_end; ///< called when it went well
  bool fail_pause = false, fail_resume = false;
  int pauses = 0;
  std::function<void()> on_pause, on_quiet_time; ///< called before the call is answered
  bool guest_answers = true;
  std::function<std::chrono::milliseconds()> clock; ///< of the test, for quiet times
  std::chrono::milliseconds last_sign{0};           ///< when a process inside last wrote something
  std::set<layer_id> kept_layers;
  std::map<sandbox_id, layer_id> below; ///< what each was made from
  bool fail_copy = false;
  int copies_ended = 0;
  std::set<std::string> programs; ///< that images have
  runtime::sandbox_spec last;
  bool fail_create = false;
  int looks_in_vain = 0; ///< at an image, before it is at hand
  bool fail_listen = false;
  bool fail_capture = false;
  int captures = 0;
  int failing_destroys = 0;
  int creations = 0;
  unix_millis image_made = 1;
  std::map<sandbox_id, resource_limits> limits_set;
  int destructions = 0;
  std::uint64_t cpu_usec = 0;

private:
  bool at_hand() { return looks_in_vain == 0 || (--looks_in_vain, false); }
  runtime::instance make() const {
    runtime::instance made;
    made.workdir = workdir;
    made.init_pid = 1;
    made.init.reset(::eventfd(0, EFD_CLOEXEC)); // never readable: process 1 lives
    made.guest_socket = "/nonexistent";
    return made;
  }
};

class memory_store final : public store {
public:
  result<void> insert(const sandbox_record& record) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    stored[record.info.id] = record;
    return caf::unit;
  }
  result<void> update(const sandbox_id& id, sandbox_state state, unix_millis expires_at,
                      std::uint32_t ttl) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    auto& info = stored.at(id).info;
    info.state = state;
    info.expires_at = expires_at;
    info.ttl_seconds = ttl;
    return caf::unit;
  }
  result<void> set_paused(const sandbox_id& id, pause_cause cause) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    stored.at(id).info.paused = cause;
    return caf::unit;
  }
  result<void> set_network(const sandbox_id& id, const network_policy& policy,
                           const std::vector<network_bound>& bounds) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    auto& record = stored.at(id);
    record.info.network = policy;
    record.network_bounds = bounds;
    return caf::unit;
  }
  result<void> set_network_bytes(const sandbox_id& id, std::uint64_t count) override {
    stored.at(id).network_bytes = count;
    return caf::unit;
  }
  result<void> replace(const sandbox_record& record) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    stored.at(record.info.id) = record;
    return caf::unit;
  }
  result<void> bury(const tombstone& stone) override {
    stored.erase(stone.id);
    std::erase_if(joined,
                  [&](const auto& each) { return each.source == stone.id || each.target == stone.id; });
    std::erase_if(contained, [&](const auto& each) { return each.second.info.sandbox == stone.id; });
    stones.push_back(stone);
    return caf::unit;
  }
  result<std::vector<sandbox_record>> records() override {
    std::vector<sandbox_record> all;
    for (const auto& each : stored)
      all.push_back(each.second);
    return all;
  }
  result<std::vector<tombstone>> tombstones() override { return stones; }
  result<void> forget_tombstones(unix_millis before) override {
    std::erase_if(stones, [before](const auto& stone) { return stone.ended_at < before; });
    return caf::unit;
  }
  result<void> add_connection(const sandbox_connection& connection) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    remove_connection(connection.source, connection.target);
    joined.push_back(connection);
    return caf::unit;
  }
  result<void> remove_connection(const sandbox_id& source, const sandbox_id& target) override {
    std::erase_if(joined, [&](const auto& each) { return each.source == source && each.target == target; });
    return caf::unit;
  }
  result<std::vector<sandbox_connection>> connections() override { return joined; }
  result<void> add_sample(const resource_sample& sample) override {
    history.push_back(sample);
    return caf::unit;
  }
  result<std::vector<resource_sample>> samples(unix_millis) override { return history; }
  result<void> add_events(const std::vector<life_event>& added, std::size_t most) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    ++event_writes;
    told.insert(told.end(), added.begin(), added.end());
    if (told.size() > most)
      told.erase(told.begin(), told.end() - static_cast<std::ptrdiff_t>(most));
    return caf::unit;
  }
  result<std::vector<life_event>> events() override { return told; }
  result<void> put_layer(const layer_record& record) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    kept[record.id] = record;
    return caf::unit;
  }
  result<void> remove_layer(const layer_id& id) override {
    kept.erase(id);
    return caf::unit;
  }
  result<std::vector<layer_record>> layers() override {
    std::vector<layer_record> all;
    for (const auto& each : kept)
      all.push_back(each.second);
    return all;
  }
  result<void> put_run(const agent_run_record& record) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    std::erase_if(worked, [&](const auto& each) { return each.info.id == record.info.id; });
    worked.insert(worked.begin(), record);
    return caf::unit;
  }
  result<std::vector<agent_run_record>> runs(const sandbox_id& id) override {
    std::vector<agent_run_record> own;
    for (const auto& each : worked)
      if (each.sandbox == id)
        own.push_back(each);
    return own;
  }
  result<void> put_container(const container_record& record) override {
    if (full)
      return fail(errc::internal, "database or disk is full");
    contained[record.info.id] = record;
    return caf::unit;
  }
  result<void> remove_container(const container_id& id) override {
    contained.erase(id);
    return caf::unit;
  }
  result<std::vector<container_record>> containers(const sandbox_id& id) override {
    std::vector<container_record> own;
    for (const auto& each : contained)
      if (each.second.info.sandbox == id)
        own.push_back(each.second);
    std::sort(own.begin(), own.end(),
              [](const auto& a, const auto& b) { return a.info.created_at < b.info.created_at; });
    return own;
  }
  result<std::optional<std::uint64_t>> webhook_position(const std::string& name) override {
    auto found = positions.find(name);
    return found == positions.end() ? std::optional<std::uint64_t>{} : found->second;
  }
  result<void> set_webhook_position(const std::string& name, std::uint64_t sequence) override {
    positions[name] = sequence;
    return caf::unit;
  }

  std::map<sandbox_id, sandbox_record> stored;
  std::map<layer_id, layer_record> kept;
  std::vector<tombstone> stones;
  std::vector<sandbox_connection> joined;
  std::vector<agent_run_record> worked; ///< the newest first
  std::map<container_id, container_record> contained;
  std::vector<resource_sample> history;
  std::vector<life_event> told;
  int event_writes = 0;
  std::map<std::string, std::uint64_t> positions;
  bool full = false;
};

/// A worker with a machine in memory. Calls to the kernel run at once, or, while `held`, when the test lets
/// them.
class machine : public deterministic {
public:
  machine()
      : threads(1, 1)
      , numbers("test", {"basic"})
      , env{threads,
            driver,
            [this](std::function<void()> call) { offload(std::move(call)); },
            records,
            [](std::function<void()> call) { call(); },
            data,
            numbers,
            {},
            [this] { return look_at_clock(); },
            [this] { return scheduler.clock().now(); }} {
    env.settings.guest_lease = std::chrono::milliseconds{0};
    env.settings.data_dir = "/";
    host.cpu_count = 2;
    host.memory_total_bytes = 24ull << 30;
    host.memory_available_bytes = 20ull << 30;
    host.disk_total_bytes = 200ull << 30;
    host.disk_free_bytes = 100ull << 30;
    host.pids_total = 32768;
    host.pids_used = 300;
    env.read_host = [this](const std::string&) { return host; };
    driver.clock = [this] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(
          scheduler.clock().now().time_since_epoch());
    };
  }
  ~machine() { end_all(); }

  /// Ends every actor. For tests whose own members are used by them: those are destroyed before ours.
  void end_all() {
    held = false;
    release();
    if (worker)
      kill(worker);
    scheduler.clock().cancel_all();
    worker = nullptr;
    run();
  }

  void start() {
    worker = system.spawn<coro::actor<worker_state, worker_actor>>(&env);
    run();
  }
  /// Makes the held calls to the kernel.
  void release() {
    while (!calls.empty())
      release_one();
  }
  void release_one() {
    auto call = std::move(calls.front());
    calls.pop_front();
    call();
    run();
  }
  unix_millis wall() const {
    return 1'700'000'000'000 +
           std::chrono::duration_cast<std::chrono::milliseconds>(scheduler.clock().now().time_since_epoch())
               .count();
  }
  create_sandbox wanted(std::string tenant = "alice", std::uint32_t ttl = 600) const {
    create_sandbox request;
    request.caller.tenant.value = std::move(tenant);
    request.ttl_seconds = ttl;
    return request;
  }
  bool nothing_left() const { return driver.present.empty() && records.stored.empty(); }

  coro::pool threads;
  memory_driver driver;
  runtime::host_load host; ///< what the worker sees of the machine at its next look
  memory_store records;
  guest::local_data_plane data;
  metrics::registry numbers;
  services env;
  worker_actor worker;
  bool held = false;
  std::deque<std::function<void()>> calls;
  bool broken_clock = false; ///< the next look at the wall clock throws

private:
  unix_millis look_at_clock() {
    if (std::exchange(broken_clock, false))
      throw std::runtime_error("broken clock");
    return wall();
  }
  void offload(std::function<void()> call) {
    if (held)
      calls.push_back(std::move(call));
    else
      call();
  }
};

} // namespace sandy::tests
