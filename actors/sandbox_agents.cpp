#include "actors/agent_run.hpp"
#include "actors/sandbox.hpp"
#include "agents/catalog.hpp"
#include "agents/model_access.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "messages/model_key.hpp"
#include "runtime/guest/local_data_plane.hpp"

#include <caf/send.hpp>

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace sandy {

// The agent that works in a sandbox: one at a time.

namespace {

using namespace std::chrono_literals;

/// A run answers at once, but for its beginning, which reads files of the sandbox.
constexpr auto begin_timeout = 30s;
constexpr auto question_timeout = 5s;
constexpr std::int32_t cancelled_exit_code = 130;
/// Between two tries to kill an agent that nobody reads.
constexpr auto lost_run_pause = 1s;

/// A socket of the machine, not of a sandbox.
io_task<result<runtime::unique_fd>> host_socket(int family) {
  runtime::unique_fd made{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!made)
    co_return fail(errc::internal, "No socket can be made: " + std::generic_category().message(errno));
  co_return std::move(made);
}

/// Where a run works that wants `directory`, in a sandbox whose commands run in `workdir`.
std::string absolute(const std::string& directory, std::string workdir) {
  if (workdir.empty())
    workdir = "/workspace";
  if (directory.empty())
    return workdir;
  return directory.front() == '/' ? directory : workdir + "/" + directory;
}

} // namespace

caf::result<agent_run_started> sandbox_state_machine::run(run_agent message) {
  auto usable = co_await wake();
  if (!usable)
    co_return std::move(usable.error());
  const auto* agent = env_.agent_catalog ? env_.agent_catalog->find(message.order.agent) : nullptr;
  if (agent == nullptr)
    co_return fail(errc::invalid_argument, "Unknown agent: " + message.order.agent);
  auto turn = co_await beginning_run_.acquire();
  if (run_) {
    auto last = co_await coro::request(run_, question_timeout, get_agent_run{});
    if (last && last->status == run_status::running)
      co_return fail(errc::conflict, "An agent runs in this sandbox already");
  }
  auto door = co_await open_model_door();
  if (!door) // its port may be taken inside; whether the agent needs it, it knows
    log("its agents cannot reach the model: " + text_of(door.error()));
  auto io = env_.data.find(record_.info.id);
  if (life_.state() != sandbox_state::ready || !io)
    co_return no_such_sandbox();
  if (server_stops_)
    co_return fail(errc::shutting_down, "The server stops");
  const agents::environment own{message.order.env.begin(), message.order.env.end()};
  if (agents::given_api_key(message.order.api_key, own, agent->api).empty())
    for (const auto& [given, placeholder] : record_.secrets.all)
      if (given.name == model_key_secret)
        message.order.api_key = placeholder;
  auto directory = absolute(message.order.directory, record_.info.workdir);
  auto started = self_->spawn<coro::actor<agent_run_state, agent_run_actor>>(
      &env_, record_.info.id, *agent, std::move(message.order), std::move(directory),
      make_agent_box(env_.threads, std::move(io)));
  // Ours from here on: it ends with us, and who cancels finds it.
  auto before = std::exchange(run_, started);
  auto begun = co_await coro::request(started, begin_timeout, start_agent_run{});
  if (!begun) {
    run_ = std::move(before);
    caf::anon_send_exit(started, caf::exit_reason::user_shutdown);
    co_return std::move(begun.error());
  }
  log("agent started: " + agent->id);
  co_return agent_run_started{caf::actor_cast<caf::strong_actor_ptr>(run_)};
}

/// Whatever its network, its agents reach one address that the installation chose, unless it may reach
/// nothing.
coro::task<void> sandbox_state_machine::open_model_door() {
  const auto& relay = env_.settings.agents.relay;
  if (!relay || model_door_ || !env_.open_relay || record_.info.network.mode == network_mode::none)
    co_return caf::unit;
  auto listener = co_await coro::blocking<runtime::unique_fd>(
      env_.kernel_calls, [&d = env_.driver, where = instance_] { return d.listen(*where, model_port); });
  if (!listener)
    co_return std::move(listener.error());
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  model_door_ = env_.open_relay({std::move(*listener), {}}, record_.info.id);
  if (!model_door_)
    co_return fail(errc::internal, "The model cannot be reached from inside the sandbox");
  runtime::relay_target target;
  target.sockets = host_socket;
  target.use = [uses = ended_->uses] { return std::make_shared<guest::activity::use>(uses); };
  target.places = {*relay};
  model_door_->post([door = model_door_, target = std::move(target)] {
    door->open(boost::asio::ip::address_v4::loopback().to_uint(), target);
  });
  co_return caf::unit;
}

caf::result<bool> sandbox_state_machine::cancel(cancel_agent message) {
  server_stops_ |= message.server_stops;
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (!run_)
    co_return false;
  auto cancelled = co_await coro::request(run_, question_timeout, cancel_agent_run{message.server_stops});
  co_return cancelled && *cancelled; // one that crashed does not run
}

caf::result<agent_run_info> sandbox_state_machine::describe_run(get_agent_run) {
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  if (run_) {
    auto info = co_await coro::request(run_, question_timeout, get_agent_run{});
    if (info) // else it crashed
      co_return std::move(info);
  }
  auto before = co_await stored_runs(); // of a server that ran before this one
  if (!before)
    co_return std::move(before.error());
  co_return before->empty() ? agent_run_info{} : std::move(before->front().info);
}

caf::result<std::vector<agent_run_info>> sandbox_state_machine::list_runs(list_agent_runs) {
  if (life_.state() != sandbox_state::ready)
    co_return no_such_sandbox();
  auto runs = co_await stored_runs();
  if (!runs)
    co_return std::move(runs.error());
  std::vector<agent_run_info> all;
  for (auto& each : *runs)
    all.push_back(std::move(each.info));
  co_return std::move(all);
}

coro::task<std::vector<agent_run_record>> sandbox_state_machine::stored_runs() {
  auto runs = co_await coro::blocking<std::vector<agent_run_record>>(
      env_.store_calls, [&s = env_.store, id = record_.info.id] { return s.runs(id); });
  co_return std::move(runs);
}

/// Which of the agents that we know its image has. Blocking.
std::vector<std::string> sandbox_state_machine::agents_in(services& env, const runtime::instance& where) {
  std::vector<std::string> found;
  if (env.agent_catalog)
    for (const auto& each : env.agent_catalog->all())
      if (env.driver.has_program(each.program, where))
        found.push_back(each.id);
  return found;
}

/// The client of a run is gone with the server that served it: its agent must not go on unseen.
coro::task<void> sandbox_state_machine::end_lost_runs() {
  auto turn = co_await beginning_run_.acquire(); // one agent at a time
  auto runs = co_await stored_runs();
  if (!runs) {
    log("its agents' runs cannot be read: " + text_of(runs.error()));
    co_return caf::unit;
  }
  for (auto& each : *runs)
    if (each.info.status == run_status::running)
      co_await end_lost_run(std::move(each));
  co_return caf::unit;
}

/// How a process ended, when it has. @param process_id 0: none is known.
coro::task<process_exit> sandbox_state_machine::exit_of_lost(std::uint32_t process_id) {
  auto io = env_.data.find(record_.info.id);
  if (!io || process_id == 0)
    co_return fail(errc::process_not_found, "There is no such process");
  auto found = co_await coro::with_timeout(question_timeout,
                                           describe_process(env_.threads, std::move(io), process_id));
  if (!found)
    co_return std::move(found.error());
  if (found->status != process_status::exited)
    co_return fail(errc::conflict, "The process has not ended");
  co_return found->exit;
}

coro::task<void> sandbox_state_machine::end_lost_run(agent_run_record run) {
  auto& info = run.info;
  info.status = run_status::cancelled;
  info.exit_code = cancelled_exit_code;
  info.error = "The server ended while the agent ran, and ended it when it was back";
  auto end = co_await exit_of_lost(run.process_id);
  for (;;) {
    auto ended =
        co_await coro::blocking<void>(env_.kernel_calls, [&d = env_.driver, id = record_.info.id,
                                                          name = info.id] { return d.end_group(id, name); });
    if (ended)
      break;
    co_await coro::sleep_for(lost_run_pause); // what is in a paused sandbox dies later
  }
  if (!end) { // nobody answered; now perhaps, but for what we killed
    end = co_await exit_of_lost(run.process_id);
    if (end && end->signal == SIGKILL)
      end = fail(errc::cancelled, "The agent was killed");
  }
  if (life_.state() != sandbox_state::ready)
    co_return caf::unit; // the record goes with the sandbox
  if (end) {
    info.status = run_status::failed;
    info.exit_code = end->exit_code;
    info.error = "The agent ended while no server was there to read what it said";
  }
  info.ended_at = env_.wall_clock();
  log("a server before this one had started its agent: " + info.error);
  auto stored =
      co_await coro::blocking<void>(env_.store_calls, [&s = env_.store, run] { return s.put_run(run); });
  co_return std::move(stored);
}

} // namespace sandy
