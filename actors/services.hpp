#pragma once

#include "actors/family.hpp"
#include "actors/room.hpp"
#include "actors/tenant_limits.hpp"
#include "coro/io.hpp"
#include "coro/task.hpp"
#include "messages/events.hpp"
#include "messages/image_names.hpp"
#include "messages/network.hpp"
#include "runtime/connection_capture.hpp"
#include "runtime/entrance.hpp"
#include "runtime/guest/host_names.hpp"
#include "runtime/network_capture.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace sandy {

class container_box;
class sandbox_io;
class store;

namespace agents {
class catalog;
}

namespace guest {
class local_data_plane;
}
namespace coro {
class pool;
}
namespace runtime {
class driver;
class network_gate;
class relay_door;
} // namespace runtime
namespace metrics {
class registry;
}

/// Where a sandbox's processes find the API: http://127.0.0.1:7330.
inline constexpr std::uint16_t inside_port = 7330;

/// Where its agents find the model's interface that the installation relays to.
inline constexpr std::uint16_t model_port = 7331;

/// A kind of sandbox that callers name.
struct flavor {
  std::string image;
  resource_limits limits;     ///< zero fields: the worker's defaults
  std::uint32_t warm = 0;     ///< kept ready for callers, at least; 0: none, every one is made when asked for
  std::uint32_t warm_max = 0; ///< at most, while demand is high; below `warm`: four times `warm`
};

/// What Janus containers get that say nothing else.
struct container_defaults {
  std::string platform_url = "http://platform-proxy:8000"; ///< where they find the platform's services
  std::chrono::seconds start_period{30};                   ///< one that is not healthy by then is given up
};

/// What runs of agents get that say nothing else.
struct agent_defaults {
  std::string base_url; ///< of the model's interface; empty: the definition's
  std::string api_key;  ///< empty: none
  /// Agents reach this at 127.0.0.1:`model_port` of their sandbox.
  std::optional<boost::asio::ip::tcp::endpoint> relay;
};

/// The drivers that this machine has, by the names that `runtime::driver::name` gives.
struct runtime_settings {
  std::string usual = "crun";
  bool docker = false;        ///< Docker's engine is one of them
  bool docker_socket = false; ///< whoever asks for it gets the engine's own socket, so the whole machine
};

struct worker_settings {
  resource_limits default_limits{1ull << 30, 1000, 512, 8ull << 30};
  resource_limits max_limits{8ull << 30, 8000, 4096, 64ull << 30};
  std::chrono::seconds default_ttl{3 * 3600};   ///< clients that send no lifetime hold sandboxes for hours
  std::chrono::seconds max_ttl{24 * 3600};      ///< longer requests are clamped; 0: none
  std::chrono::seconds max_lifetime{0};         ///< no lease goes beyond, whatever renews it; 0: none
  std::chrono::seconds default_idle_timeout{0}; ///< of a sandbox that asks for none; 0: none
  std::uint32_t max_sandboxes = 256;
  std::uint32_t create_concurrency =
      4;                            ///< creations at a time: beyond, they only take the cores from each other
  std::uint32_t create_queue = 256; ///< creations that wait for room or their turn; beyond, refused at once
  /// A creation waits for so long in all. A burst of a full queue is made within it; clients wait longer.
  std::chrono::milliseconds create_wait{10'000};
  room_rules room;
  std::chrono::milliseconds guest_lease{
      600'000}; ///< a guest that hears from no server for this long ends itself
  std::map<std::string, flavor> flavors{{"basic", {"basic", {}}}};
  child_rules children;
  std::uint32_t max_snapshots = 32;        ///< of one tenant
  std::uint32_t pool_refill_rate = 10;     ///< warm sandboxes made per second and flavor, at most
  std::chrono::seconds pool_max_age{3600}; ///< an older warm sandbox is replaced
  std::uint32_t max_connections = 16;      ///< that one sandbox has to others, at most
  network_mode default_network = network_mode::internet; ///< of a sandbox that asks for none
  network_mode max_network = network_mode::internet;     ///< of any sandbox
  agent_defaults agents;
  container_defaults containers;
  std::string data_dir; ///< whose file system is reported as the disk
  std::string node;     ///< what the ids of its sandboxes begin with; empty: anything
  image_names images;   ///< what callers call images
  runtime_settings runtimes;
};

/// What actors work with. Outlives the actor system; all of it is thread safe or says which thread.
struct services {
  coro::pool& threads;
  runtime::driver& driver;    ///< called through `kernel_calls` only
  coro::offload kernel_calls; ///< threads that may block on fork, mount, rmdir
  sandy::store& store;        ///< called through `store_calls` only
  coro::offload store_calls;  ///< one thread: writes in order
  guest::local_data_plane& data;
  metrics::registry& metrics;
  worker_settings settings;
  std::function<unix_millis()> wall_clock = unix_now; ///< leases are wall-clock time; tests bring their own
  /// Idle times run on this one.
  std::function<std::chrono::steady_clock::time_point()> monotonic_clock = std::chrono::steady_clock::now;
  /// Tells the world of an event in a sandbox's life. Called by actors, on any thread.
  std::function<void(life_event)> publish = [](const life_event&) {};
  /// What a sandbox's processes find in their environment besides what its creator gave, e.g. its token.
  std::function<environment(const sandbox_info&)> identity = [](const sandbox_info&) {
    return environment{};
  };
  /// Serves the API on a socket that listens inside a sandbox, until the owner it returns is destroyed;
  /// nullptr when it cannot. Empty: sandboxes cannot reach the API. Called by actors, on any thread.
  std::function<std::shared_ptr<void>(runtime::unique_fd listener, principal inside)> serve_inside;
  /// Reads what the machine has and uses; gets a path on the file system to report. Called through
  /// `kernel_calls` only, by one caller at a time.
  std::function<runtime::host_load(const std::string&)> read_host =
      [meter = std::make_shared<runtime::host_meter>()](const std::string& disk) {
        return meter->read(disk);
      };
  std::shared_ptr<limit_table> limits = std::make_shared<limit_table>(); ///< what tenants may use
  /// Relays what was captured in a sandbox; nullptr when it cannot. Empty: sandboxes cannot be connected.
  std::function<std::shared_ptr<runtime::relay_door>(runtime::connection_capture captured,
                                                     const sandbox_id& inside)>
      open_relay;
  /// Takes and judges what a sandbox sends to the world, after `used_bytes` that went through before; nullptr
  /// when it cannot. Empty: sandboxes reach nothing of it.
  std::function<std::shared_ptr<runtime::network_gate>(runtime::network_capture captured,
                                                       const sandbox_id& inside, std::uint64_t used_bytes)>
      open_gate;
  /// Makes these the names that connections give to addresses inside a sandbox.
  std::function<coro::task<void>(const sandbox_id& inside, std::vector<guest::host_name> names)> name_hosts;
  /// Where the edge finds the ways into sandboxes.
  std::shared_ptr<runtime::entrances> entrances = std::make_shared<runtime::entrances>();
  /// Makes what a new sandbox needs for secrets that never enter it. Empty: there are none here.
  std::function<result<sandbox_secrets>(std::vector<secret> given)> place_secrets;
  /// Has the programs of a sandbox trust one more certificate authority (PEM).
  std::function<coro::task<void>(const sandbox_id& inside, std::string certificate)> trust_authority;
  /// Asks what runs in a sandbox how it is: `GET /health` of a port. Fails when the answer is not 200; with
  /// sandbox_paused when nobody could answer. Empty: nobody is asked, and what runs is taken for healthy.
  std::function<coro::task<void>(const sandbox_id& inside, std::uint16_t port)> check_health;
  /// What a container's actor does with its container. Empty: the real thing.
  std::function<std::shared_ptr<container_box>(std::shared_ptr<sandbox_io> of,
                                               const std::string& guest_socket)>
      open_container;
  /// The agents that can run in sandboxes; nullptr: none.
  std::shared_ptr<const agents::catalog> agent_catalog;
  /// Sees to it that the store has what a caller calls `name`, where that can be fetched; whoever waits for
  /// the same image waits together. It has what it can have when this succeeds: the name may be unknown
  /// still. Empty: nothing is fetched.
  std::function<coro::task<void>(std::string name)> provide_image;
  /// The platform's model is called with this key for this sandbox from now on, instead of the platform's
  /// own; forgotten with the sandbox. Fails with invalid_argument for what no request can carry. Empty: the
  /// platform has no services here. On any thread.
  std::function<result<void>(const sandbox_id& inside, std::string key)> use_platform_key{};
};

/// The image of the store that a caller calls `name`, fetched first where this installation fetches. Fails
/// as fetching does; an image that is not there is found missing by whoever uses it.
inline coro::task<std::string> image_for(const services& env, std::string name) {
  if (env.provide_image && !name.empty()) {
    auto provided = co_await env.provide_image(name);
    if (!provided)
      co_return std::move(provided.error());
  }
  co_return env.settings.images.resolve(name);
}

} // namespace sandy
