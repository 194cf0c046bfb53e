#include "http/routes_support.hpp"

#include "http/routes/routes.hpp"
#include "messages/type_ids.hpp"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <stdexcept>

namespace sandy::tests {

namespace asio = boost::asio;

namespace {

sandbox_info living_info() {
  sandbox_info info;
  info.id = living;
  info.tenant = {"acme"};
  info.state = sandbox_state::ready;
  info.flavor = "basic";
  return info;
}

container_info fake_container() {
  container_info info;
  info.id = {"ct-0123456789abcdef01234"};
  info.sandbox = living;
  info.image = "model";
  info.port = 8080;
  info.status = container_status::running;
  info.health = container_health::healthy;
  info.created_at = info.started_at = 1'700'000'000'000;
  info.process_id = 1;
  return info;
}

/// A worker that knows one sandbox of one tenant.
worker_actor::behavior_type stand_in(worker_actor::pointer, worker_script* script) {
  auto known = [script](std::string_view what, const auto& question) -> bool {
    script->asked.push_back(std::string{what} + " " + question.caller.tenant.value + " " + question.id.value);
    return question.id == living && question.caller.tenant.value == "acme";
  };
  auto unknown = [] { return fail(errc::sandbox_not_found, "Sandbox not found"); };
  return {
      [](create_sandbox&) -> caf::result<sandbox_info> {
        return fail(errc::internal, "create asks a request actor");
      },
      [=](const get_sandbox& q) -> caf::result<sandbox_info> {
        if (!known("get", q))
          return unknown();
        return living_info();
      },
      [=](const list_sandboxes& q) -> caf::result<std::vector<sandbox_info>> {
        script->listed = q;
        return q.caller.tenant.value == "acme" ? std::vector{living_info()} : std::vector<sandbox_info>{};
      },
      [=](const terminate_sandbox& q) -> caf::result<sandbox_ended> {
        if (!known("terminate", q))
          return unknown();
        return sandbox_ended{q.id, end_reason::terminated};
      },
      [=](const refresh_sandbox& q) -> caf::result<sandbox_info> {
        if (!known("refresh " + std::to_string(q.ttl_seconds), q))
          return unknown();
        return living_info();
      },
      [=](const open_sandbox& q) -> caf::result<sandbox_opened> {
        if (!known("open", q))
          return unknown();
        if (script->paused)
          return fail(errc::sandbox_paused, "The sandbox is paused");
        return sandbox_opened{q.id};
      },
      [=](const get_stats& q) -> caf::result<std::vector<sandbox_stats>> {
        script->asked.push_back("stats " + std::to_string(q.ids.size()));
        return script->stats;
      },
      [=](const get_logs& q) -> caf::result<std::vector<log_line>> {
        if (!known("logs " + std::to_string(q.tail), q))
          return unknown();
        return std::vector{log_line{0, "sandbox", "ready\xff"}};
      },
      [=](const probe_port& q) -> caf::result<bool> {
        if (!known("probe " + std::to_string(q.port), q))
          return unknown();
        return q.port == 3000;
      },
      [=](get_health) -> caf::result<worker_health> { return worker_health{script->accepting, 1, {}}; },
      [=](get_resources) -> caf::result<worker_resources> { return worker_resources{}; },
      [=](const get_timeseries& q) -> caf::result<std::vector<resource_sample>> {
        return std::vector<resource_sample>(q.hours);
      },
      [](list_known) -> caf::result<std::vector<sandbox_id>> { return std::vector<sandbox_id>{}; },
      [](sandbox_ending) -> caf::result<void> { return caf::unit; },
      [](const list_images&) -> caf::result<std::vector<image_info>> {
        return std::vector{image_info{"basic", false, {}, 0, 0}, image_info{"mine", true, living, 7, 1000}};
      },
      [=](const snapshot_sandbox& q) -> caf::result<image_info> {
        if (!known("snapshot", q))
          return unknown();
        return image_info{q.name, true, q.id, 7, 1000};
      },
      [](const remove_image& q) -> caf::result<image_info> {
        if (q.name == "basic")
          return fail(errc::forbidden, "This image belongs to the installation");
        if (q.name != "mine")
          return fail(errc::image_not_found, "There is no image of this name");
        return image_info{q.name, true, living, 7, 1000};
      },
      [](const fork_sandbox&) -> caf::result<std::vector<sandbox_info>> {
        return fail(errc::internal, "fork asks a request actor");
      },
      [](const create_warm&) -> caf::result<sandbox_id> {
        return fail(errc::capacity_exhausted, "no pool here");
      },
      [](const retire_warm&) {},
      [](const pool_health&) {},
      [](close_worker) -> caf::result<void> { return caf::unit; },
      [](drain_worker) -> caf::result<void> { return caf::unit; },
      [=](const pause_sandbox& q) -> caf::result<sandbox_info> {
        if (!known("pause", q))
          return unknown();
        auto info = living_info();
        info.paused = pause_cause::caller;
        return info;
      },
      [=](const resume_sandbox& q) -> caf::result<sandbox_info> {
        if (!known("resume", q))
          return unknown();
        return living_info();
      },
      [=](const connect_sandboxes& q) -> caf::result<sandbox_connection> {
        if (!known("connect " + q.target.value, q))
          return unknown();
        return sandbox_connection{q.id, q.target, 0x7f530001, 1'000};
      },
      [=](const disconnect_sandboxes& q) -> caf::result<void> {
        if (!known("disconnect " + q.target.value, q))
          return unknown();
        return caf::unit;
      },
      [=](const list_connections& q) -> caf::result<std::vector<sandbox_connection>> {
        if (!known("connections", q))
          return unknown();
        return std::vector<sandbox_connection>{{q.id, q.id, 0x7f530001, 1'000}};
      },
      [=](const get_network& q) -> caf::result<network_report> {
        if (!known("network", q))
          return unknown();
        return network_report{living_info().network, {1, 2, 3, 4, 5, 6, 7, false}};
      },
      [=](const set_network& q) -> caf::result<network_report> {
        if (!known("set_network " + to_string(q.policy.mode), q))
          return unknown();
        return network_report{q.policy, {}};
      },
      [=](const run_agent& q) -> caf::result<agent_run_started> {
        if (!known("run_agent", q))
          return unknown();
        script->order = q.order;
        return fail(errc::conflict, "An agent runs in this sandbox already");
      },
      [=](const cancel_agent& q) -> caf::result<bool> {
        if (!known("cancel_agent", q))
          return unknown();
        return true;
      },
      [=](const get_agent_run& q) -> caf::result<agent_run_info> {
        if (!known("get_agent_run", q))
          return unknown();
        agent_run_info info;
        info.status = run_status::running;
        info.agent = "codex";
        info.started_at = 1'700'000'000'000;
        return info;
      },
      [=](const list_agent_runs& q) -> caf::result<std::vector<agent_run_info>> {
        if (!known("list_agent_runs", q))
          return unknown();
        agent_run_info run;
        run.id = "0123";
        run.status = run_status::failed;
        run.exit_code = 3;
        run.output = "said\xff";
        return std::vector{run};
      },
      [=](const run_container& q) -> caf::result<container_info> {
        if (!known("run_container", q))
          return unknown();
        if (q.order.image == "missing")
          return fail(errc::upstream_error, "The image missing cannot be had");
        auto info = fake_container();
        info.image = q.order.image;
        info.port = q.order.port;
        info.timeout_seconds = q.order.timeout_seconds;
        info.name = q.order.llm_api_key + "|" + q.order.memory_url + "|" + q.order.search_url + "|" +
                    (q.order.env.empty() ? "" : q.order.env[0].first + "=" + q.order.env[0].second);
        return info;
      },
      [=](const list_containers& q) -> caf::result<std::vector<container_info>> {
        if (!known("list_containers", q))
          return unknown();
        return std::vector{fake_container()};
      },
      [=](const get_container& q) -> caf::result<container_info> {
        if (!known("get_container", q))
          return unknown();
        if (q.container != fake_container().id)
          return fail(errc::container_not_found, "The sandbox has no such container");
        return fake_container();
      },
      [=](const stop_container& q) -> caf::result<container_info> {
        if (!known("stop_container", q))
          return unknown();
        auto info = fake_container();
        info.status = container_status::exited;
        info.health = container_health::none;
        return info;
      },
      [=](const remove_container& q) -> caf::result<container_info> {
        if (!known("remove_container", q))
          return unknown();
        return fake_container();
      },
      [=](const list_agents&) -> caf::result<std::vector<agent_info>> {
        return std::vector<agent_info>{{"codex", "Codex", true}};
      },
  };
}

/// Counts how many of its kind live.
struct creator_state {
  static inline const char* name = "creator";
  std::atomic<int>* alive = nullptr;
  caf::typed_response_promise<sandbox_info> waiting;
  ~creator_state() {
    if (alive != nullptr)
      --*alive;
  }
};

create_request_actor::behavior_type creator(create_request_actor::stateful_pointer<creator_state> self,
                                            worker_script* script, std::atomic<int>* alive) {
  self->state.alive = alive;
  ++*alive;
  // As the real one does: whoever waits for it hears that it went.
  self->set_exit_handler([self](const caf::exit_msg& message) {
    if (self->state.waiting.pending())
      self->state.waiting.deliver(fail(errc::cancelled, "The caller went away"));
    self->quit(message.reason);
  });
  return {[self, script](const create_sandbox& wish) -> caf::result<sandbox_info> {
            script->asked.push_back("create " + wish.caller.tenant.value);
            script->wished = wish;
            if (script->on_create)
              script->on_create();
            if (script->create_waits)
              return self->state.waiting = self->make_response_promise<sandbox_info>();
            if (!script->created)
              return script->created.error();
            return *script->created;
          },
          [script](const fork_sandbox& wish) -> caf::result<std::vector<sandbox_info>> {
            script->forked = wish;
            return std::vector<sandbox_info>(wish.count, living_info());
          }};
}

} // namespace

stage::configuration::configuration(coro::pool& threads) {
  register_messages(*this);
  threads.use_for(*this);
}

stage::stage()
    : threads(1)
    , config(threads)
    , system(config)
    , metrics("0.1", {"basic"})
    , routes(http::all_routes())
    , io(std::make_shared<memory_io>()) {
  threads.start_bridges(system);
  script.created = living_info();
  worker_ = system.spawn(stand_in, &script);
  context.emplace(http::context{.system = system,
                                .worker = worker_,
                                .data = *this,
                                .metrics = metrics,
                                .ports = http::ingress::port_signer{}});
  context->spawn_create_request = [this](std::chrono::milliseconds) {
    return system.spawn(creator, &script, &request_actors);
  };
  context->version = "0.1";
}

stage::~stage() {
  caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  worker_ = nullptr;
  context.reset();
  system.await_all_actors_done();
  threads.stop_bridges();
}

std::shared_ptr<sandbox_io> stage::find(const sandbox_id& id) { return id == living ? io : nullptr; }

memory_exchange& stage::request(std::string verb, std::string target, std::string body,
                                http::header_list headers) {
  exchanges_.push_back(
      std::make_unique<memory_exchange>(*context, routes, threads.context(0).get_executor()));
  auto& made = *exchanges_.back();
  made.verb = std::move(verb);
  made.target = std::move(target);
  made.headers = std::move(headers);
  if (!body.empty())
    made.pieces.push_back(std::move(body));
  return made;
}

memory_exchange& stage::run() {
  auto& made = *exchanges_.back();
  auto done = asio::co_spawn(threads.context(0), made.run(), asio::use_future);
  if (done.wait_for(std::chrono::seconds{60}) != std::future_status::ready)
    throw std::logic_error("the handler did not end");
  done.get();
  return made;
}

memory_exchange& stage::call(std::string verb, std::string target, std::string body,
                             http::header_list headers) {
  request(std::move(verb), std::move(target), std::move(body), std::move(headers));
  return run();
}

} // namespace sandy::tests
