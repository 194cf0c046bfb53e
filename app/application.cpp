#include "app/application.hpp"

#include "actors/container_pool.hpp"
#include "actors/container_pool_keeper.hpp"
#include "actors/create_request.hpp"
#include "actors/event_log.hpp"
#include "actors/rate_limiter.hpp"
#include "actors/tenant_limits.hpp"
#include "actors/webhook.hpp"
#include "actors/webhook_keeper.hpp"
#include "actors/worker.hpp"
#include "agents/catalog.hpp"
#include "app/drivers.hpp"
#include "app/first_key.hpp"
#include "app/models.hpp"
#include "app/secret_file.hpp"
#include "coro/ask.hpp"
#include "http/client/trust.hpp"
#include "http/codec/sandbox.hpp"
#include "http/egress/interception.hpp"
#include "http/health_check.hpp"
#include "http/nodes/credentials.hpp"
#include "http/outbound/webhook_client.hpp"
#include "http/routes/routes.hpp"
#include "messages/type_ids.hpp"
#include "metrics/log.hpp"
#include "runtime/guest/trusted_authority.hpp"
#include "runtime/image_store.hpp"
#include "sandy_version.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace sandy {

namespace {

std::size_t thread_count(const config& settings) {
  return settings.threads != 0 ? settings.threads : std::max(1u, std::thread::hardware_concurrency());
}

/// Threads for calls that block. Creations at a time have one each; ends, claims and looks at the machine
/// must not wait for them.
std::size_t blocking_thread_count(const config& settings) {
  constexpr std::uint32_t most_creations = 64, others = 6;
  return std::min(settings.worker.create_concurrency, most_creations) + others;
}

std::vector<std::string> flavor_names(const config& settings) {
  std::vector<std::string> names;
  for (const auto& each : settings.worker.flavors)
    names.push_back(each.first);
  return names;
}

/// A program's path as the shell would find it. As it is when nothing is found: then its user says what is
/// missing.
std::string in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  if (program.find('/') != std::string::npos || path == nullptr)
    return program;
  for (std::string_view rest = path; !rest.empty();) {
    auto end = std::min(rest.find(':'), rest.size());
    auto candidate = std::string{rest.substr(0, end)} + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0)
      return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return program;
}

std::vector<boost::asio::io_context*> contexts_of(coro::pool& threads) {
  std::vector<boost::asio::io_context*> contexts;
  for (std::size_t i = 0; i < threads.size(); ++i)
    contexts.push_back(&threads.context(i));
  return contexts;
}

/// Events kept, over all tenants: some hours of a busy machine, in 3 MB of memory.
constexpr std::size_t events_kept = 10'000;
/// Until the last events are stored when the server stops.
constexpr std::chrono::seconds settle_timeout{5};
/// For every sandbox to hear that the server stops.
constexpr std::chrono::seconds close_timeout{7};

using webhook_client = std::shared_ptr<http::outbound::webhook_client>;

coro::task<unsigned> post_event(coro::pool& threads, webhook_client client, life_event event) {
  auto status = co_await coro::io<unsigned>(threads.here(),
                                            http::outbound::webhook_client::post(client, std::move(event)));
  co_return std::move(status);
}

/// Writes the names of a sandbox's connections, from an actor.
coro::task<void> name_hosts(coro::pool& threads, std::shared_ptr<sandbox_io> inside,
                            std::vector<guest::host_name> names) {
  if (!inside) // it ends
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  auto written =
      co_await coro::io<void>(threads.here(), guest::write_host_names(std::move(inside), std::move(names)));
  co_return std::move(written);
}

/// Asks what listens on a port of a sandbox how it is, from an actor.
coro::task<void> check_health(coro::pool& threads, std::shared_ptr<const runtime::entrance> to,
                              std::uint16_t port) {
  if (!to) // it ends
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  auto answer = co_await coro::io<void>(threads.here(), http::check_health(std::move(to), port));
  co_return std::move(answer);
}

/// Has a sandbox's programs trust its authority, from an actor.
coro::task<void> trust_authority(coro::pool& threads, std::shared_ptr<sandbox_io> inside,
                                 std::string certificate, std::string otherwise) {
  if (!inside) // it ends
    co_return fail(errc::sandbox_not_found, "Sandbox not found");
  auto work = guest::trust_authority(std::move(inside), std::move(certificate), std::move(otherwise));
  auto written = co_await coro::io<void>(threads.here(), std::move(work));
  co_return std::move(written);
}

/// Fetches an image, from an actor.
coro::task<void> provide_image(coro::pool& threads, image_provider& images, std::string name) {
  auto provided = co_await coro::io<void>(threads.here(), images.provide(std::move(name)));
  co_return std::move(provided);
}

/// What this machine trusts, for sandboxes whose images do not say what they do.
std::string machine_authorities() {
  std::ifstream file{"/etc/ssl/certs/ca-certificates.crt"};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

/// Runs one coroutine on the pool from the main thread and waits for it.
template <class T>
std::optional<T> run_on(coro::pool& threads, io_task<T> work) {
  std::optional<T> outcome;
  auto store_it = [](io_task<T> inner, std::optional<T>* to) -> io_task<void> {
    auto value = co_await std::move(inner);
    to->emplace(std::move(value));
  };
  boost::asio::co_spawn(threads.context(0), store_it(std::move(work), &outcome), boost::asio::use_future)
      .get();
  return outcome;
}

template <class Message>
auto ask_worker(coro::pool& threads, const worker_actor& worker, Message message,
                std::chrono::milliseconds timeout) {
  return run_on(threads, ask(worker, std::move(message), timeout));
}

using relay_place = std::optional<boost::asio::ip::tcp::endpoint>;

/// @param setting named in the error
result<relay_place> relay_endpoint(const std::string& text, const std::string& setting) {
  if (text.empty())
    return relay_place{};
  auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  boost::system::error_code wrong;
  auto address = boost::asio::ip::make_address(host, wrong);
  unsigned port = 0;
  if (colon != std::string::npos)
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (wrong || port == 0 || port > 65535)
    return fail(errc::invalid_argument, setting + " must be an IP address and a port, as 127.0.0.1:4000");
  return relay_place{{address, static_cast<std::uint16_t>(port)}};
}

/// As the server takes it.
std::string address_text(const listen_address& where) {
  auto host = where.host.find(':') == std::string::npos ? where.host : "[" + where.host + "]";
  return host + ":" + std::to_string(where.port);
}

/// A flavor that clients name, and for which there is an image, needs no configuration.
void add_installed_flavor(config& settings, const std::string& name, std::uint32_t warm) {
  if (settings.worker.flavors.contains(name) || !runtime::image_store{settings.image_dir}.find(name))
    return;
  flavor made{name, {}};
  made.warm = warm;
  settings.worker.flavors.emplace(name, std::move(made));
}

runtime::oci::importer_options import_options(const config& settings) {
  runtime::oci::importer_options options;
  options.image_dir = std::filesystem::absolute(settings.image_dir).lexically_normal().string();
  options.program = program_path(settings.import_helper, "sandy-import-image");
  for (const auto& each : settings.image_import_dirs)
    options.directories.push_back(std::filesystem::absolute(each).lexically_normal().string());
  options.limits.bytes = settings.max_image_bytes;
  auto& registries = options.registries;
  registries.skopeo = in_path(settings.skopeo);
  registries.allowed = settings.image_registries;
  registries.insecure = settings.image_insecure_registries;
  registries.auth_file = settings.image_registry_auth;
  registries.timeout = settings.image_pull_timeout;
  registries.uid = settings.uid_base - 1; // nobody's: sandboxes have those from there on
  return options;
}

} // namespace

struct application::parts {
  std::optional<std::string> made_key;
  std::unique_ptr<store> records;
  std::unique_ptr<runtime::driver> driver;
  http::key_ring keys;
  std::optional<sandbox_tokens> tokens;
  std::string url_secret;
  std::shared_ptr<const agents::catalog> agent_catalog;
  http::egress::network_settings network;
  std::string authorities; ///< that the machine trusts, in PEM
  configured_models models;
  std::shared_ptr<http::client::trust> trusted;
  node_identity node;
  std::shared_ptr<http::nodes::credentials> credentials; ///< nullptr: it is alone
};

application::system_config::system_config(coro::pool& threads, const cluster_settings& cluster) {
  register_messages(*this);
  cluster_node::prepare(*this, cluster);
  // Actors share their threads with sockets: long runs of one actor would delay them.
  set("scheduler.max-throughput", 64);
  threads.use_for(*this);
}

result<std::unique_ptr<application>> application::start(config settings) {
  parts made;
  std::error_code ec;
  settings.data_dir = std::filesystem::absolute(settings.data_dir).lexically_normal().string();
  std::filesystem::create_directories(settings.data_dir, ec);
  if (ec)
    return fail(errc::invalid_argument,
                "The data directory " + settings.data_dir + " cannot be made: " + ec.message());
  std::filesystem::permissions(settings.data_dir,
                               std::filesystem::perms::owner_all | std::filesystem::perms::group_exec |
                                   std::filesystem::perms::others_exec,
                               ec);
  auto records = store::open(settings.data_dir + "/sandy.db");
  if (!records)
    return std::move(records.error());
  made.records = std::move(*records);

  auto keys = settings.api_keys;
  if (keys.empty() && !settings.open) {
    auto key = first_key(settings.data_dir);
    if (!key)
      return std::move(key.error());
    made.made_key = *key;
    keys.push_back({tenant_id{"default"}, *key, true});
  }
  auto ring = http::key_ring::load(keys);
  if (!ring)
    return std::move(ring.error());
  made.keys = std::move(*ring);
  auto tokens = sandbox_tokens::open(settings.data_dir);
  if (!tokens)
    return std::move(tokens.error());
  made.tokens.emplace(std::move(*tokens));
  auto url_secret = kept_secret(
      settings.data_dir + "/url_secret", "secret", [] { return random_hex(32); },
      [](const std::string& text) {
        return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
      });
  if (!url_secret)
    return std::move(url_secret.error());
  made.url_secret = std::move(*url_secret);

  auto node = node_identity::open(settings.data_dir);
  if (!node)
    return std::move(node.error());
  settings.worker.node = node->id;
  made.node = std::move(*node);
  if (const auto& cluster = settings.cluster; cluster.listen) {
    auto loaded = http::nodes::credentials::load(cluster.certificate, cluster.key, cluster.authority);
    if (!loaded)
      return std::move(loaded.error());
    made.credentials = std::move(*loaded);
  }

  auto driver = make_driver(settings, in_path(settings.crun));
  if (!driver)
    return std::move(driver.error());
  made.driver = std::move(*driver);
  settings.worker.runtimes.docker = !settings.docker_socket.empty();

  auto known = agents::catalog::load(program_path(settings.agents, "agent-definitions"));
  if (!known)
    return std::move(known.error());
  made.agent_catalog = std::make_shared<const agents::catalog>(std::move(*known));

  auto relay = relay_endpoint(settings.agent_relay, "agent_relay");
  if (!relay)
    return std::move(relay.error());
  settings.worker.agents.relay = std::move(*relay);
  auto platform = relay_endpoint(settings.platform_relay, "platform_relay");
  if (!platform)
    return std::move(platform.error());
  auto tls = http::egress::tls_sides::make(settings.network_ca_file);
  if (!tls)
    return std::move(tls.error());
  made.network = {settings.worker.max_network,    settings.network_allow, settings.network_deny,
                  settings.network_private_allow, settings.network_dns,   std::move(*platform),
                  settings.platform_relay_named,  std::move(*tls)};
  made.authorities = machine_authorities();
  auto models = configured_models_of(settings);
  if (!models)
    return std::move(models.error());
  made.models = std::move(*models);
  auto trusted = http::client::trust::make(settings.upstream_ca_file);
  if (!trusted)
    return std::move(trusted.error());
  made.trusted = std::move(*trusted);
  settings.worker.data_dir = settings.data_dir;
  add_installed_flavor(settings, "agent-ready", settings.prewarm_agent_ready);
  add_installed_flavor(settings, "desktop", 0);
  std::unique_ptr<application> app{new application(std::move(settings), std::move(made))};
  if (auto served = app->serve(); !served)
    return std::move(served.error());
  return std::move(app);
}

application::application(config settings, parts made)
    : settings_(std::move(settings))
    , made_key_(std::move(made.made_key))
    , store_(std::move(made.records))
    , driver_(std::move(made.driver))
    , keys_(std::move(made.keys))
    , tokens_(std::move(*made.tokens))
    , metrics_(version, flavor_names(settings_))
    , edge_counter_(metrics_.http())
    , threads_(thread_count(settings_), blocking_thread_count(settings_))
    , relays_(contexts_of(threads_))
    , platform_(make_platform())
    , gates_(contexts_of(threads_), with_platform(std::move(made.network)), metrics_.network())
    , services_{
          .threads = threads_,
          .driver = *driver_,
          .kernel_calls = coro::on_pool(threads_.blocking()),
          .store = *store_,
          .store_calls = coro::on_pool(store_thread_),
          .data = data_,
          .metrics = metrics_,
          .settings = settings_.worker,
          .identity = [this](const sandbox_info& info) { return identity_of(info); },
          .serve_inside =
              [this](runtime::unique_fd listener, principal inside) {
                return server_.serve_inside(std::move(listener), std::move(inside));
              },
          .limits = std::make_shared<limit_table>(settings_.tenant_defaults, settings_.tenants),
          .open_relay =
              [this](runtime::connection_capture captured, const sandbox_id& inside) {
                return relays_.open(std::move(captured), inside.value);
              },
          .open_gate = [this](runtime::network_capture captured, const sandbox_id& inside,
                              auto used_bytes) { return open_gate(std::move(captured), inside, used_bytes); },
          .name_hosts =
              [this](const sandbox_id& inside, std::vector<guest::host_name> names) {
                return name_hosts(threads_, data_.find(inside), std::move(names));
              },
          .place_secrets = http::egress::place_secrets,
          .trust_authority =
              [this, all = std::move(made.authorities)](const sandbox_id& inside, std::string certificate) {
                return trust_authority(threads_, data_.find(inside), std::move(certificate), all);
              },
          .check_health =
              [this](const sandbox_id& inside, std::uint16_t port) {
                return check_health(threads_, services_.entrances->find(inside), port);
              },
          .agent_catalog = std::move(made.agent_catalog),
          .use_platform_key = [this](const sandbox_id& inside,
                                     std::string key) { return use_platform_key(inside, std::move(key)); }}
    , node_(settings_, std::move(made.node), tokens_.secret(), version, threads_, server_)
    , system_config_(threads_, settings_.cluster)
    , system_(system_config_)
    , events_(start_events())
    , importer_(import_options(settings_))
    , images_(settings_.worker.images, importer_, coro::on_pool(threads_.blocking()))
    , router_(http::all_routes())
    , gateway_(std::move(made.models.settings), metrics_.gateway())
    , pooled_(std::move(made.models.pooled))
    , context_{
          .system = system_,
          .worker = {},
          .data = data_,
          .spawn_create_request =
              [this](std::chrono::milliseconds timeout) {
                return create_request_actor{
                    system_.spawn<coro::actor<create_request_state, create_request_actor>>(worker_, timeout)};
              },
          .metrics = metrics_,
          .limits = settings_.edge,
          .address = {settings_.public_scheme, settings_.host_suffixes.front(), settings_.listen.port,
                      settings_.host_suffixes},
          .authenticate = [this](std::string_view key) { return known(key); },
          .open = settings_.open,
          .cors_origins = settings_.cors_origins,
          .agent_models = settings_.agent_models,
          .version = std::string{version},
          .events = events_,
          .limiters = start_limiters(),
          .entrances = services_.entrances.get(),
          .ports = http::ingress::port_signer{std::move(made.url_secret)},
          .port_listeners = settings_.port_listeners,
          .ports_not_served =
              [this](const std::vector<std::uint16_t>& exposed) { return server_.ports_not_served(exposed); },
          .importer = &importer_,
          .blocking_calls = coro::on_pool(threads_.blocking()),
          .images = settings_.worker.images,
          .trusted = std::move(made.trusted),
          .models = &gateway_,
          .platform = platform_.get(),
          .nodes = &node_.directory(),
          .node_credentials = std::move(made.credentials)}
    , server_(context_, router_, edge_counter_, contexts_of(threads_)) {
  threads_.start_bridges(system_);
  start_providing();
  // Last: it takes sandboxes over at once, and the server must be there to be reached from inside them.
  worker_ = context_.worker = system_.spawn<coro::actor<worker_state, worker_actor>>(&services_);
  // Everything hangs on the worker, and every request on a limiter: without them, better a restart that takes
  // the sandboxes over than half a server.
  end_with(caf::actor_cast<caf::abstract_actor*>(worker_), "worker_died");
  end_with(caf::actor_cast<caf::abstract_actor*>(events_), "event_log_died");
  for (const auto& limiter : context_.limiters)
    end_with(caf::actor_cast<caf::abstract_actor*>(limiter), "rate_limiter_died");
}

std::unique_ptr<http::platform::proxy> application::make_platform() {
  if (!settings_.platform.active())
    return nullptr;
  auto made = http::platform::proxy::make(settings_.platform, metrics_.platform());
  if (!made) // the configuration was checked when it was read
    throw std::logic_error(text_of(made.error()));
  return std::move(*made);
}

http::egress::network_settings application::with_platform(http::egress::network_settings network) {
  if (platform_)
    network.open_platform = [this](boost::asio::io_context& home, const std::string& sandbox) {
      return server_.open_platform(home, sandbox);
    };
  return network;
}

std::shared_ptr<runtime::network_gate> application::open_gate(runtime::network_capture captured,
                                                              const sandbox_id& inside,
                                                              std::uint64_t used_bytes) {
  if (!platform_)
    return gates_.open(std::move(captured), inside.value, used_bytes);
  /// What a sandbox used of the platform is known as long as it has a network.
  struct accounted {
    std::shared_ptr<void> account;
    std::shared_ptr<runtime::network_gate> gate;
  };
  auto both = std::make_shared<accounted>();
  both->account = platform_->ledgers().lease(inside);
  both->gate = gates_.open(std::move(captured), inside.value, used_bytes);
  auto* gate = both->gate.get();
  return gate == nullptr ? nullptr : std::shared_ptr<runtime::network_gate>{std::move(both), gate};
}

result<void> application::use_platform_key(const sandbox_id& inside, std::string key) {
  return platform_ ? platform_->use_key(inside, std::move(key)) : result<void>{caf::unit};
}

event_log_actor application::start_events() {
  event_log_actor log = system_.spawn<coro::actor<event_log_state, event_log_actor>>(&services_, events_kept);
  services_.publish = [log](life_event event) { caf::anon_send(log, std::move(event)); };
  return log;
}

void application::start_providing() {
  if (settings_.image_pull == image_pull_policy::never || settings_.image_registries.empty())
    return;
  services_.provide_image = [this](std::string name) {
    return provide_image(threads_, images_, std::move(name));
  };
}

result<void> application::start_webhooks() {
  for (const auto& hook : settings_.webhooks) {
    auto client = http::outbound::webhook_client::make(hook);
    if (!client)
      return std::move(client.error());
    webhook_post post = [this, client = *client](life_event event) {
      return post_event(threads_, client, std::move(event));
    };
    auto spawn = [this, hook, post] {
      return system_.spawn<coro::actor<webhook_state, webhook_actor>>(&services_, hook, events_, post);
    };
    webhooks_.push_back(system_.spawn<coro::actor<webhook_keeper_state, webhook_actor>>(std::move(spawn)));
    caf::anon_send(webhooks_.back(), deliver_events{});
  }
  return caf::unit;
}

std::optional<principal> application::known(std::string_view key) const {
  if (auto sandbox = tokens_.verify(key))
    return sandbox;
  if (auto named = sandbox_tokens::named_in(key); !named.value.empty())
    if (auto secret = node_.token_secret_of(named); !secret.empty())
      return sandbox_tokens::of_node(std::move(secret)).verify(key);
  return keys_.owner(key);
}

environment application::identity_of(const sandbox_info& info) const {
  return {{"SANDY_API_KEY", tokens_.make({info.tenant, info.id})},
          {"SANDY_BASE_URL", "http://127.0.0.1:" + std::to_string(inside_port)},
          {"SANDY_SANDBOX_ID", info.id.value},
          {"SANDY_RUNTIME_PORT", std::to_string(http::codec::runtime_port)}};
}

std::vector<rate_limiter_actor> application::start_limiters() {
  // One per thread: more questions are never asked at a time.
  std::vector<rate_limiter_actor> limiters;
  for (std::size_t i = 0; i < threads_.size(); ++i)
    limiters.push_back(system_.spawn<coro::actor<rate_limiter_state, rate_limiter_actor>>(&services_));
  return limiters;
}

void application::start_container_pools() {
  for (auto& each : pooled_) {
    auto spawn = [this, what = each.what, worker = worker_] {
      return system_.spawn<coro::actor<container_pool_state, container_pool_actor>>(&services_, what, worker);
    };
    container_pools_.push_back(system_.spawn<coro::actor<container_pool_keeper_state, container_pool_actor>>(
        each.what.model, spawn));
    each.backend->use(container_pools_.back(), *services_.entrances);
  }
}

/// Their containers live on, for the next server.
void application::end_container_pools() {
  for (const auto& pool : container_pools_)
    caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  container_pools_.clear();
}

void application::end_with(caf::abstract_actor* needed, std::string_view event) {
  needed->attach_functor([this, event](const caf::error& reason) {
    if (!ending_.exchange(true)) {
      log_event(log_level::error, event, {{"reason", text_of(reason)}});
      ended_.set_value(false);
    }
  });
}

result<void> application::serve() {
  // From here on, not from `wait`: who reads that we listen may tell us to stop in the next moment.
  signals_.async_wait([this](boost::system::error_code ec, int) {
    if (!ec && !ending_.exchange(true))
      ended_.set_value(true);
  });
  if (auto started = start_webhooks(); !started)
    return started;
  // Answered when recovery is over: nobody must hear "not found" of a sandbox that is about to be taken over.
  auto recovered = ask_worker(threads_, worker_, get_health{}, std::chrono::minutes{10});
  if (!recovered || !*recovered)
    return fail(errc::internal, "The sandboxes of the previous run cannot be recovered; the log says why");
  start_container_pools();
  if (auto joined = join_cluster(); !joined)
    return joined;
  auto port = server_.start(address_text(settings_.listen));
  if (!port)
    return std::move(port.error());
  port_ = *port;
  if (const auto& also = settings_.gateway_listen) {
    auto second = server_.listen_also(address_text(*also));
    if (!second)
      return std::move(second.error());
    log_event(log_level::info, "gateway_listening", {{"host", also->host}, {"port", *second}});
  }
  context_.address.port = settings_.public_port.value_or(port_);
  return caf::unit;
}

result<void> application::join_cluster() {
  const auto& cluster = settings_.cluster;
  std::uint16_t port = 0;
  if (cluster.listen) {
    auto bound = server_.listen_for_nodes(address_text(*cluster.listen));
    if (!bound)
      return std::move(bound.error());
    port = *bound;
  }
  members_ = context_.members = node_.spawn(system_, worker_, port);
  end_with(caf::actor_cast<caf::abstract_actor*>(members_), "membership_died");
  if (!cluster.listen)
    return caf::unit;
  auto door = node_.listen(members_);
  if (!door)
    return std::move(door.error());
  context_.door = std::move(*door);
  return caf::unit;
}

bool application::wait() {
  auto told = ended_.get_future().get();
  boost::system::error_code ignored;
  signals_.cancel(ignored);
  signals_.clear(ignored); // a second one ends us at once
  return told;
}

void application::stop() {
  ending_ = true;
  importer_.stop();
  log_event(log_level::info, "stopping", {{"grace_ms", settings_.shutdown_grace.count()}});
  caf::anon_send(events_, close_events{}); // their readers would wait to the end of the grace
  // Agents may work for an hour. No reader is left unanswered, and no agent works on that nobody reads.
  if (auto closed = ask_worker(threads_, worker_, close_worker{}, close_timeout); !closed || !*closed)
    log_event(log_level::warn, "agents_not_told",
              {{"error", closed ? text_of(closed->error()) : std::string{}}});
  auto stuck = run_on(threads_, server_.stop(settings_.shutdown_grace));
  if (stuck && *stuck > 0)
    log_event(log_level::warn, "requests_stuck", {{"count", *stuck}});
  end_container_pools();
  // Creations whose clients the edge gave up are undone by now or soon.
  auto drained =
      ask_worker(threads_, worker_, drain_worker{settings_.end_sandboxes}, std::chrono::minutes{1});
  if (!drained || !*drained)
    log_event(log_level::warn, "not_drained",
              {{"error", drained ? text_of(drained->error()) : std::string{}}});
  auto settled = run_on(threads_, ask(events_, settle_events{}, settle_timeout));
  if (!settled || !*settled)
    log_event(log_level::warn, "events_lost", {{"reason", "they could not be stored in time"}});
}

application::~application() {
  ending_ = true;
  importer_.stop();
  run_on(threads_, server_.stop(std::chrono::milliseconds{0})); // sessions use what goes now
  end_container_pools();
  caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(members_, caf::exit_reason::user_shutdown);
  for (const auto& limiter : context_.limiters)
    caf::anon_send_exit(limiter, caf::exit_reason::user_shutdown);
  context_.limiters.clear();
  for (const auto& hook : webhooks_)
    caf::anon_send_exit(hook, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(events_, caf::exit_reason::user_shutdown);
  webhooks_.clear();
  context_.events = nullptr;
  events_ = nullptr;
  context_.worker = nullptr;
  worker_ = nullptr;
  context_.members = nullptr;
  members_ = nullptr;
  system_.await_all_actors_done();
  node_.stop();
  services_.publish = nullptr; // the last reference to the log
  threads_.stop_bridges();
  threads_.blocking().join();
  store_thread_.join();
}

} // namespace sandy
