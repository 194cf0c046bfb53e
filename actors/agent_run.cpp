#include "actors/agent_run.hpp"

#include "agents/progress.hpp"
#include "agents/prompt.hpp"
#include "coro/io.hpp"
#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"
#include "metrics/registry.hpp"
#include "runtime/driver.hpp"
#include "store/store.hpp"

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// What an agent keeps between runs (sessions, settings) is here, below its id.
constexpr std::string_view homes = "/root/.agents/";
/// Pieces of the stream that wait for the reader; then the agent's output waits in the sandbox.
constexpr std::size_t queued_events = 2;
/// What the sandbox keeps of output that nobody has read yet.
constexpr std::uint64_t ring_bytes = 8ull << 20;
constexpr std::uint64_t most_system_prompt = 100 * 1024;
constexpr auto heartbeat_period = 5s;
/// A client that breaks off may only have lost its connection for good: its run ends after this.
constexpr auto reader_grace = 5s;
/// Whoever wanted the run has come for its first event by then, or never will.
constexpr auto first_reader = 30s;
/// What the guest waits after the run's own deadline, in case that no server is there to end it.
constexpr auto unattended = 30s;

} // namespace

agent_run_state::agent_run_state(self_pointer self, services* env, sandbox_id sandbox,
                                 agents::definition agent, agent_order order, std::string directory,
                                 std::shared_ptr<agent_box> box)
    : self_(self)
    , env_(*env)
    , sandbox_(std::move(sandbox))
    , agent_(std::move(agent))
    , order_(std::move(order))
    , directory_(std::move(directory))
    , box_(std::move(box))
    , reader_(agent_)
    , events_(queued_events)
    , outcome_(fail(errc::sandbox_failed, "The sandbox did not end the agent in time")) {
  info_.id = make_sandbox_id().value;
  info_.agent = agent_.id;
  info_.model = order_.model;
}

/// Also of a run that the server leaves when it stops.
agent_run_state::~agent_run_state() {
  if (info_.status == run_status::running)
    env_.metrics.agent_finished(run_status::cancelled, std::chrono::duration<double>(elapsed()).count());
}

agent_run_actor::behavior_type agent_run_state::make_behavior() {
  return {
      [this](start_agent_run message) { return start(message); },
      [this](read_agent_events message) { return read(message); },
      [this](get_agent_run) { return info_; },
      [this](cancel_agent_run message) {
        return stop(message.server_stops ? agents::ending::server_stops : agents::ending::cancelled);
      },
      [this](leave_agent_run) { lose_reader(); },
  };
}

// -- the reader
// -----------------------------------------------------------------------------------------------------------

caf::result<agent_events> agent_run_state::read(read_agent_events) {
  read_ = true;
  auto batch = co_await events_.take(queued_events);
  agent_events answer;
  for (auto& each : *batch)
    answer.text += each;
  answer.last = batch->empty();
  co_return std::move(answer);
}

/// Waits while the reader has enough to read. Without a reader there is nobody to tell.
coro::task<void> agent_run_state::say(std::string event) {
  co_await events_.push(std::move(event));
  co_return caf::unit;
}

void agent_run_state::lose_reader() {
  events_.close();
  if (info_.status == run_status::running)
    coro::spawn(end_unread());
}

coro::task<void> agent_run_state::end_unread() {
  co_await coro::sleep_for(reader_grace);
  stop(agents::ending::cancelled);
  co_return caf::unit;
}

coro::task<void> agent_run_state::watch_reader() {
  co_await coro::sleep_for(first_reader);
  if (!read_)
    lose_reader();
  co_return caf::unit;
}

coro::task<void> agent_run_state::beat() {
  while (info_.status == run_status::running) {
    co_await coro::sleep_for(heartbeat_period);
    auto event = agents::heartbeat_event(elapsed());
    if (info_.status == run_status::running)
      events_.try_push(event); // a reader with so much to read needs no sign of life
  }
  co_return caf::unit;
}

// -- the run
// -----------------------------------------------------------------------------------------------------------

caf::result<void> agent_run_state::start(start_agent_run) {
  auto command = co_await prepare();
  if (!command)
    co_return std::move(command.error());
  begun_ = self_->clock().now();
  info_.status = run_status::running;
  env_.metrics.agent_started();
  info_.started_at = env_.wall_clock();
  log("agent_started");
  driving_.emplace(drive(std::move(*command)));
  driving_->start();
  coro::spawn(run());
  coro::spawn(beat());
  coro::spawn(watch_reader());
  coro::spawn(watch_deadline());
  co_return caf::unit;
}

/// What has to be known before the stream begins.
coro::task<agents::rendered> agent_run_state::prepare() {
  agents::wanted wanted;
  wanted.model = order_.model;
  wanted.base_url = order_.base_url;
  wanted.api_key = order_.api_key;
  const auto& installation = env_.settings.agents;
  wanted.platform_base_url = installation.base_url;
  if (wanted.platform_base_url.empty() && installation.relay)
    wanted.platform_base_url = "http://127.0.0.1:" + std::to_string(model_port);
  wanted.platform_api_key = env_.settings.agents.api_key;
  wanted.system_prompt = order_.system_prompt;
  wanted.system_prompt_path = order_.system_prompt_path;
  wanted.session_id = order_.session_id;
  for (const auto& [variable, value] : order_.env)
    wanted.env[variable] = value;
  wanted.home = std::string{homes} + agent_.id;
  wanted.workspace = directory_;
  if (auto path = agents::system_prompt_to_read(agent_, wanted); !path.empty()) {
    auto text = co_await box_->read(path, most_system_prompt);
    if (!text)
      co_return fail(errc::invalid_argument, "The system prompt cannot be read: " + text_of(text.error()));
    wanted.system_prompt = std::move(*text);
  }
  wanted.prompt = std::move(order_.prompt);
  if (!order_.raw_prompt) {
    auto project = co_await box_->stat(directory_ + "/package.json");
    if (project)
      wanted.prompt = agents::wrapped_for_web_project(wanted.prompt, wanted.workspace);
  }
  auto command = agents::render(agent_, wanted);
  if (!command)
    co_return std::move(command.error());
  co_return std::move(*command);
}

coro::task<void> agent_run_state::run() {
  co_await over_.wait();
  driving_.reset(); // whatever it may still wait for
  if (stopping_ && started_)
    co_await swept_.wait();
  else if (!outcome_) // nobody follows it any more, or it may start yet
    co_await end_group();
  else
    co_await leave_group();
  co_await last_files();
  co_await finish();
  co_return caf::unit;
}

coro::task<void> agent_run_state::drive(agents::rendered command) {
  auto outcome = co_await work(std::move(command));
  if (!over_.is_set())
    outcome_ = std::move(outcome);
  over_.set();
  co_return caf::unit;
}

coro::task<process_exit> agent_run_state::work(agents::rendered command) {
  co_await say(agents::status_event("Starting " + agent_.name + "..."));
  auto placed = co_await place_files(command);
  if (!placed)
    co_return std::move(placed.error());
  auto before = co_await box_->list(std::string{workspace});
  if (before)
    files_.expect(std::move(*before));
  auto watching = co_await box_->watch(std::string{workspace});
  if (watching) { // else the run is told without its files
    watching_.emplace(watch_files());
    watching_->start();
    telling_.emplace(tell_files());
    telling_->start();
  }
  process_spec spec;
  spec.argv = std::move(command.arguments);
  spec.cwd = order_.directory;
  spec.env.assign(command.env.begin(), command.env.end());
  spec.timeout = std::chrono::milliseconds{order_.max_ms} + unattended;
  spec.ring_bytes = ring_bytes;
  spec.open_stdin = !command.standard_input.empty();
  auto started = co_await launch(std::move(spec));
  if (!started)
    co_return std::move(started.error());
  started_ = true;
  process_ = *started;
  auto recorded = co_await record();
  if (!recorded)
    log("agent_run_not_recorded", text_of(recorded.error()));
  if (stopping_)
    coro::spawn(end_process());
  co_await say(agents::status_event("Running " + agent_.name + " with model " + order_.model + "..."));
  if (!command.standard_input.empty())
    coro::spawn(feed(std::move(command.standard_input)));
  co_return co_await follow();
}

/// Starts the program in a group of its own. The record comes first: a server that finds it after a crash
/// ends the group, which nobody reads any more.
coro::task<std::uint32_t> agent_run_state::launch(process_spec spec) {
  auto recorded = co_await record();
  if (!recorded)
    co_return std::move(recorded.error());
  auto group = co_await coro::blocking<runtime::unique_fd>(
      env_.kernel_calls,
      [&d = env_.driver, id = sandbox_, name = info_.id] { return d.make_group(id, name); });
  if (!group)
    co_return std::move(group.error());
  if (stopping_)
    co_return fail(errc::cancelled, "The run was cancelled before the agent started");
  spec.group = std::make_shared<const runtime::unique_fd>(std::move(*group));
  auto started = co_await box_->start(std::move(spec));
  co_return std::move(started);
}

/// Keeps what is known of the run by now.
coro::task<void> agent_run_state::record() {
  auto stored = co_await coro::blocking<void>(
      env_.store_calls,
      [&s = env_.store, what = agent_run_record{sandbox_, process_, info_}] { return s.put_run(what); });
  co_return std::move(stored);
}

/// Makes its HOME and what its definition wants in there.
coro::task<void> agent_run_state::place_files(agents::rendered& command) {
  auto made = co_await box_->make_directory(command.env["HOME"]);
  if (!made)
    co_return std::move(made.error());
  for (auto& file : command.files) {
    auto written = co_await box_->write(std::move(file.path), std::move(file.content));
    if (!written)
      co_return std::move(written.error());
  }
  co_return caf::unit;
}

/// A program that ends without reading its input is no failure of ours.
coro::task<void> agent_run_state::feed(std::string input) {
  auto fed = co_await box_->feed(std::move(input));
  if (!fed)
    log("agent_prompt_not_read", text_of(fed.error()));
  co_return caf::unit;
}

coro::task<process_exit> agent_run_state::follow() {
  for (;;) {
    auto event = co_await box_->next_event();
    if (!event)
      co_return std::move(event.error());
    if (auto* end = std::get_if<process_exit>(&*event))
      co_return *end;
    if (auto* chunk = std::get_if<output_chunk>(&*event)) {
      if (chunk->stream == output_stream::standard_output)
        co_await take(std::move(chunk->bytes));
      else
        co_await take_errors(std::move(chunk->bytes));
    } else if (auto* gap = std::get_if<output_gap>(&*event)) {
      co_await say(agents::status_event("Output was lost, because it was not read in time: " +
                                        std::to_string(gap->to - gap->from) + " bytes"));
    }
  }
}

coro::task<void> agent_run_state::take(std::string bytes) {
  co_await tell(reader_.read(bytes));
  co_return caf::unit;
}

/// @param bytes of standard error; empty at its end.
coro::task<void> agent_run_state::take_errors(std::string bytes) {
  std::string text;
  auto add = [&text](agents::line_splitter::line line) { text += agents::stderr_event(line.text); };
  if (bytes.empty())
    errors_.finish(add);
  else
    errors_.feed(bytes, add);
  if (!text.empty())
    co_await say(std::move(text));
  co_return caf::unit;
}

/// What came together goes out together.
coro::task<void> agent_run_state::tell(const std::vector<agents::event>& events) {
  std::string text;
  for (const auto& each : events) {
    note(each);
    text += agents::event_text(each);
  }
  info_.session_id = reader_.said().session_id();
  if (!text.empty())
    co_await say(std::move(text));
  co_return caf::unit;
}

/// Keeps what callers ask for who do not read the stream.
void agent_run_state::note(const agents::event& event) {
  if (const auto* plain = std::get_if<agents::output>(&event)) {
    printed_ += plain->text + "\n";
    if (printed_.size() > 2 * most_output)
      printed_.erase(0, printed_.size() - most_output);
    return;
  }
  const auto& json = std::get<agents::agent_output>(event).json;
  if (auto tools = agents::tools_used(json); !tools.empty()) {
    info_.steps += static_cast<std::uint32_t>(tools.size());
    info_.current = std::move(tools.back());
  }
}

std::chrono::milliseconds agent_run_state::elapsed() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(self_->clock().now() - begun_);
}

void agent_run_state::log(std::string_view what, std::string_view detail) const {
  log_event(log_level::info, what,
            {{"agent", agent_.id}, {"model", order_.model}, {"detail", std::string{detail}}});
}

} // namespace sandy
