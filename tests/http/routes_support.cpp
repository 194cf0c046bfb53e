#include "http/routes_support.hpp"

#include "http/errors.hpp"
#include "http/routes/routes.hpp"
#include "messages/type_ids.hpp"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <strings.h>

#include <algorithm>
#include <stdexcept>

namespace sandy::tests {

namespace asio = boost::asio;
using http::routes::io_timer;
using http::routes::use_io;

// -- the exchange
// -----------------------------------------------------------------------------------------------------

memory_exchange::memory_exchange(http::context& server, const http::router& routes, io_executor executor)
    : server_(server)
    , routes_(routes)
    , hung_up_(executor, io_timer::time_point::max()) {}

io_task<void> memory_exchange::run() {
  if (!parsed_.parse(target))
    throw std::logic_error("bad target " + target);
  match_ = routes_.find(verb, parsed_.segments());
  if (match_.found == nullptr)
    throw std::logic_error("no route for " + verb + " " + target);
  co_await match_.found->handle(*this);
}

void memory_exchange::leave() {
  gone_ = true;
  hung_up_.cancel();
}

nlohmann::json memory_exchange::json() const { return nlohmann::json::parse(sent); }

std::string memory_exchange::sent_header(std::string_view name) const {
  for (const auto& [key, value] : sent_headers)
    if (key == name)
      return value;
  return {};
}

std::string_view memory_exchange::param(std::string_view name) const {
  for (std::size_t i = 0; i < match_.params; ++i)
    if (match_.names[i] == name)
      return parsed_.segments()[match_.segments[i]];
  return {};
}

std::string_view memory_exchange::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), key.size()) == 0)
      return value;
  return {};
}

std::optional<std::uint64_t> memory_exchange::content_length() const noexcept {
  std::uint64_t size = 0;
  for (const auto& piece : pieces)
    size += piece.size();
  return size;
}

io_task<result<std::string>> memory_exchange::read_body(std::uint64_t limit) {
  std::string all;
  for (;;) {
    auto piece = co_await read_some();
    if (!piece)
      co_return piece;
    if (piece->empty())
      co_return all;
    all += *piece;
    if (all.size() > limit)
      co_return fail(errc::payload_too_large, "too large");
  }
}

io_task<result<std::string>> memory_exchange::read_some() {
  if (pieces.empty()) {
    if (body_error)
      co_return body_error;
    co_return std::string{};
  }
  auto piece = std::move(pieces.front());
  pieces.pop_front();
  co_return piece;
}

void memory_exchange::begin(unsigned code, std::string_view content_type, http::header_list extra) {
  if (status != 0)
    throw std::logic_error("answered twice");
  status = code;
  type = content_type;
  sent_headers = std::move(extra);
}

io_task<void> memory_exchange::reply(unsigned code, const nlohmann::json& body, http::header_list extra) {
  begin(code, "application/json", std::move(extra));
  sent = body.dump(); // throws where a handler let through what is not UTF-8
  ended = true;
  co_return;
}

io_task<void> memory_exchange::reply_bytes(unsigned code, std::string_view content_type, std::string body,
                                           http::header_list extra) {
  begin(code, content_type, std::move(extra));
  sent = std::move(body);
  ended = true;
  co_return;
}

io_task<void> memory_exchange::reply_error(const caf::error& err) {
  begin(http::to_status(err), "application/json", {});
  sent = http::error_body(err);
  ended = true;
  co_return;
}

io_task<result<void>> memory_exchange::begin_stream(unsigned code, std::string_view content_type,
                                                    std::optional<std::uint64_t> length,
                                                    http::header_list extra) {
  begin(code, content_type, std::move(extra));
  announced = length;
  co_return caf::unit;
}

io_task<result<void>> memory_exchange::write(std::string_view bytes) {
  largest_write = std::max(largest_write, bytes.size());
  if (gone_ || sent.size() + bytes.size() > takes)
    co_return fail(errc::cancelled, "The client is gone");
  sent += bytes;
  if (announced && sent.size() > *announced)
    throw std::logic_error("more than announced");
  co_return caf::unit;
}

io_task<void> memory_exchange::end_stream() {
  ended = !announced || sent.size() == *announced || verb == "HEAD";
  co_return;
}

io_task<void> memory_exchange::hang_up() {
  while (!gone_)
    co_await hung_up_.async_wait(asio::as_tuple(use_io));
}

// -- the sandbox
// ------------------------------------------------------------------------------------------------------

namespace {

/// A stream that plays events, then is silent until it is cancelled.
template <class Event, class Stream>
class played_events : public Stream {
public:
  played_events(memory_io& io, std::vector<result<Event>> events)
      : io_(io)
      , events_(events.begin(), events.end()) {
    ++io_.streams_open;
  }
  ~played_events() override { --io_.streams_open; }
  io_task<result<Event>> next() override {
    if (!events_.empty()) {
      auto event = std::move(events_.front());
      events_.pop_front();
      co_return event;
    }
    if (io_.on_silence)
      io_.on_silence();
    co_await http::routes::pause(std::chrono::hours{1});
    co_return fail(errc::internal, "the test waited for an hour");
  }

private:
  memory_io& io_;
  std::deque<result<Event>> events_;
};

class played_process final : public played_events<process_event, process_stream> {
public:
  using played_events::played_events;
  std::uint32_t process_id() const noexcept override { return 7; }
};
using played_changes = played_events<watch_event, watch_stream>;

class memory_source final : public byte_source {
public:
  memory_source(memory_io& io, std::string bytes)
      : io_(io)
      , bytes_(std::move(bytes)) {}
  io_task<result<std::string>> read() override {
    if (io_.on_read)
      io_.on_read();
    auto piece = bytes_.substr(at_, io_.piece_bytes);
    at_ += piece.size();
    co_return piece;
  }

private:
  memory_io& io_;
  std::string bytes_;
  std::size_t at_ = 0;
};

class memory_sink final : public byte_sink {
public:
  memory_sink(memory_io& io, std::string path)
      : io_(io)
      , path_(std::move(path)) {
    ++io_.sinks_open;
  }
  ~memory_sink() override { --io_.sinks_open; }
  io_task<result<void>> write(std::string_view bytes) override {
    bytes_ += bytes;
    co_return caf::unit;
  }
  io_task<result<file_info>> commit(bool base64) override {
    if (base64 && bytes_.find('*') != std::string::npos)
      co_return fail(errc::invalid_argument, "content is not valid base64");
    io_.files[path_] = {base64 ? "decoded:" + bytes_ : bytes_};
    file_info info;
    info.path = path_;
    info.size = bytes_.size();
    co_return info;
  }

private:
  memory_io& io_;
  std::string path_;
  std::string bytes_;
};

class memory_archive final : public archive_sink {
public:
  explicit memory_archive(memory_io& io)
      : io_(io) {}
  io_task<result<void>> write(std::string_view bytes) override {
    io_.unpacked += bytes;
    co_return caf::unit;
  }
  io_task<result<void>> finish() override {
    if (io_.unpacked == "no archive")
      co_return fail(errc::invalid_argument, "tar: This does not look like a tar archive");
    co_return caf::unit;
  }

private:
  memory_io& io_;
};

std::string absolute(const std::string& path) { return path.starts_with('/') ? path : "/workspace/" + path; }

caf::error no_file(const std::string& path) { return fail(errc::file_not_found, "File not found: " + path); }

} // namespace

io_task<result<std::unique_ptr<process_stream>>> memory_io::exec(process_spec spec) {
  started = std::move(spec);
  if (start_error)
    co_return start_error;
  co_return std::make_unique<played_process>(*this, events);
}

io_task<result<process_info>> memory_io::start(process_spec spec) {
  started = std::move(spec);
  if (start_error)
    co_return start_error;
  auto info = co_await process(7);
  co_return info;
}

io_task<result<std::vector<process_info>>> memory_io::processes() {
  auto info = co_await process(7);
  co_return std::vector{*info};
}

io_task<result<process_info>> memory_io::process(std::uint32_t process_id) {
  if (stuck)
    co_await http::routes::pause(std::chrono::hours{1});
  if (process_id != 7)
    co_return fail(errc::process_not_found, "No such process");
  process_info info;
  info.process_id = 7;
  info.command = started.script;
  co_return info;
}

io_task<result<std::unique_ptr<process_stream>>> memory_io::output(std::uint32_t, std::uint64_t offset,
                                                                   bool follow) {
  output_from = offset;
  output_followed = follow;
  co_return std::make_unique<played_process>(*this, events);
}

io_task<result<void>> memory_io::write_stdin(std::uint32_t, std::string bytes, bool close) {
  if (stuck_input) {
    on_silence();
    co_await http::routes::pause(std::chrono::hours{1});
  }
  input += bytes;
  input_closed = close;
  co_return caf::unit;
}

io_task<result<void>> memory_io::signal(std::uint32_t process_id, int number, bool tree) {
  if (process_id != 7)
    co_return fail(errc::process_not_found, "No such process");
  signalled = tree ? number : -number;
  co_return caf::unit;
}

io_task<result<open_file>> memory_io::read_file(std::string path, std::uint64_t offset,
                                                std::uint64_t length) {
  auto found = files.find(absolute(path));
  if (found == files.end())
    co_return no_file(path);
  ++opened_files;
  const auto& bytes = found->second.bytes;
  open_file file;
  file.info.path = found->first;
  file.info.size = bytes.size();
  file.info.modified_at = found->second.modified_at;
  auto part =
      bytes.substr(std::min<std::size_t>(offset, bytes.size()), length == 0 ? std::string::npos : length);
  file.bytes = std::make_unique<memory_source>(*this, std::move(part));
  co_return std::move(file);
}

io_task<result<std::unique_ptr<byte_sink>>> memory_io::write_file(write_options options) {
  written = options;
  co_return std::make_unique<memory_sink>(*this, absolute(options.path));
}

io_task<result<file_info>> memory_io::stat(std::string path) {
  auto file = co_await read_file(std::move(path), 0, 0);
  if (!file)
    co_return file.error();
  co_return file->info;
}

io_task<result<std::vector<file_info>>> memory_io::list(list_options options) {
  std::vector<file_info> all;
  for (const auto& [path, file] : files) {
    file_info info;
    info.path = path.substr(absolute(options.path).size() + 1);
    info.size = file.bytes.size();
    all.push_back(info);
  }
  co_return all;
}

io_task<result<void>> memory_io::make_directory(std::string path, std::uint32_t mode) {
  files[absolute(path) + "/"] = {std::to_string(mode)};
  co_return caf::unit;
}

io_task<result<void>> memory_io::move(std::string from, std::string to, bool overwrite) {
  if (!overwrite && files.count(absolute(to)) != 0)
    co_return fail(errc::file_exists, "File exists: " + to);
  auto node = files.extract(absolute(from));
  if (node.empty())
    co_return no_file(from);
  files[absolute(to)] = std::move(node.mapped());
  co_return caf::unit;
}

io_task<result<void>> memory_io::remove(std::string path, bool) {
  if (files.erase(absolute(path)) == 0)
    co_return no_file(path);
  co_return caf::unit;
}

io_task<result<std::unique_ptr<byte_source>>> memory_io::archive(std::string directory, bool gzip) {
  if (directory == "missing")
    co_return no_file(directory);
  co_return std::make_unique<memory_source>(*this, gzip ? "gzip of " + directory : "tar of " + directory);
}

io_task<result<std::unique_ptr<archive_sink>>> memory_io::unarchive(std::string) {
  co_return std::make_unique<memory_archive>(*this);
}

io_task<result<std::unique_ptr<watch_stream>>> memory_io::watch(std::string, bool) {
  co_return std::make_unique<played_changes>(*this, changes);
}

// -- the stage
// --------------------------------------------------------------------------------------------------------

namespace {

sandbox_info living_info() {
  sandbox_info info;
  info.id = living;
  info.tenant = {"acme"};
  info.state = sandbox_state::ready;
  info.flavor = "basic";
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
      [](const create_warm&) -> caf::result<sandbox_id> {
        return fail(errc::capacity_exhausted, "no pool here");
      },
      [](const retire_warm&) {},
      [](const pool_health&) {},
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
  context.emplace(http::context{.system = system, .worker = worker_, .data = *this, .metrics = metrics});
  context->spawn_create_request = [this] { return system.spawn(creator, &script, &request_actors); };
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
