#include "http/gateway/agent_answer.hpp"

#include "http/client/address.hpp"
#include "http/context.hpp"
#include "http/egress/host_pattern.hpp"
#include "http/gateway/accompanied.hpp"
#include "http/gateway/agent_prompt.hpp"
#include "http/gateway/gateway.hpp"
#include "http/routes/common.hpp"
#include "http/routes/creating.hpp"
#include "http/routes/run_reader.hpp"
#include "http/shard.hpp"
#include "messages/model_key.hpp"

#include <caf/actor_cast.hpp>
#include <caf/send.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <cmath>

namespace sandy::http::gateway {

using nlohmann::json;

namespace {

constexpr std::string_view artifacts_directory = "/workspace/artifacts";
/// Of one chat: what is more is left behind.
constexpr std::size_t most_artifacts = 32;
constexpr std::chrono::seconds begin_timeout{35};
/// The sandbox outlives the run, so that its files can be read.
constexpr std::chrono::seconds after_run{120};
constexpr std::string_view ping = ": ping\n\n";

/// The address by which the client reached us.
std::string own_address(exchange& ex) {
  auto host = ex.header("Host");
  return host.empty() ? std::string{} : ex.server().address.scheme + "://" + std::string{host};
}

/// A file of at most `most` bytes. Fails with payload_too_large, and as `sandbox_io::read_file`.
io_task<result<std::string>> read_whole(std::shared_ptr<sandbox_io> io, std::string path,
                                        std::uint64_t most) {
  auto file = co_await io->read_file(std::move(path), 0, 0);
  if (!file)
    co_return std::move(file.error());
  std::string all;
  for (;;) {
    auto piece = co_await file->bytes->read();
    if (!piece)
      co_return std::move(piece.error());
    if (piece->empty())
      co_return all;
    if (all.size() + piece->size() > most)
      co_return fail(errc::payload_too_large, "The file is too large");
    all += *piece;
  }
}

/// The host that alone gets the key of the agent's model, as the pattern of a secret: the caller, whose
/// sandbox it is, need not know it. Empty where the server cannot put it in on its way, which takes TLS to a
/// host that has a name.
std::string host_of_key(const agent_model_settings& settings) {
  auto where = client::parse_url(settings.base_url);
  if (settings.api_key.empty() || !where || !where->to.tls)
    return {};
  auto pattern = where->to.host + ":" + std::to_string(where->to.port);
  return egress::parse_host_pattern(pattern) ? pattern : std::string{};
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

} // namespace

io_task<result<void>> agent_model::answer(exchange& ex, const chat_request& request, chat_sink& sink) {
  agent_answer one{ex, settings_, request, sink};
  auto done = co_await one.run();
  co_return done;
}

agent_answer::agent_answer(exchange& ex, const agent_model_settings& settings, const chat_request& request,
                           chat_sink& sink)
    : ex_(ex)
    , settings_(settings)
    , request_(request)
    , sink_(sink)
    , created_(unix_now() / 1000) {}

agent_answer::~agent_answer() {
  if (!box_.value.empty())
    caf::anon_send(ex_.server().worker, terminate_sandbox{ex_.caller(), box_});
}

io_task<result<void>> agent_answer::run() {
  auto done = co_await prepare();
  if (done)
    done = co_await work();
  if (done)
    done = co_await collect();
  if (done)
    done = co_await finish();
  if (done || !begun_)
    co_return done;
  if (code_of(done.error()) != errc::cancelled) { // else there is nobody to tell
    auto told = co_await send({{"content", text_of(done.error())}}, "stop");
    if (told)
      told = co_await sink_.write("data: [DONE]\n\n");
    if (told)
      co_await sink_.end();
  }
  co_return caf::unit;
}

io_task<result<void>> agent_answer::prepare() {
  create_sandbox order;
  order.caller = ex_.caller();
  order.parent = routes::parent_by_default(ex_);
  order.flavor = settings_.flavor;
  order.ttl_seconds = static_cast<std::uint32_t>((settings_.limit + after_run).count());
  order.env = {{"JANUS_ARTIFACTS_DIR", std::string{artifacts_directory}}};
  auto host = host_of_key(settings_);
  if (!host.empty()) {
    secret key;
    key.name = model_key_secret;
    key.value.bytes = settings_.api_key;
    key.hosts.push_back(std::move(host));
    order.secrets.push_back(std::move(key));
  }
  auto made =
      co_await accompanied(routes::ask_to_create(ex_, std::move(order), ex_.server().limits.create_timeout));
  if (!made)
    co_return std::move(made.error());
  box_ = made->id;
  boxed_at_ = std::chrono::steady_clock::now();
  auto& server = ex_.server();
  auto opened = co_await accompanied(
      ask(server.worker, open_sandbox{ex_.caller(), box_}, server.limits.control_timeout));
  if (!opened)
    co_return std::move(opened.error());
  auto io = server.data.find(box_);
  if (!io)
    co_return fail(errc::sandbox_failed, "The sandbox cannot be used");
  auto ready = co_await accompanied(io->make_directory(std::string{artifacts_directory}, 0755));
  if (!ready)
    co_return std::move(ready.error());
  if (!request_.stream)
    co_return caf::unit;
  json started{{"event", "sandbox_start"},
               {"payload", {{"sandbox_id", box_.value}, {"flavor", settings_.flavor}}}};
  auto sent = co_await send({{"role", "assistant"}, {"janus", std::move(started)}});
  co_return sent;
}

io_task<result<void>> agent_answer::work() {
  auto prompt = prompt_of(request_.body.at("messages"));
  agent_order order;
  order.agent = ex_.header("X-Baseline-Agent");
  if (order.agent.empty())
    order.agent = settings_.agent;
  order.model = settings_.model;
  order.prompt = std::move(prompt.text);
  order.system_prompt = std::move(prompt.system);
  order.raw_prompt = true;
  order.base_url = settings_.base_url;
  if (host_of_key(settings_).empty()) // else it is the sandbox's secret
    order.api_key = settings_.api_key;
  order.max_ms = static_cast<std::uint64_t>(std::chrono::milliseconds{settings_.limit}.count());
  auto& worker = ex_.server().worker;
  auto started =
      co_await accompanied(ask(worker, run_agent{ex_.caller(), box_, std::move(order)}, begin_timeout));
  if (!started)
    co_return std::move(started.error());
  routes::run_reader reader{caf::actor_cast<agent_run_actor>(started->run)};
  started->run = nullptr;
  for (;;) {
    auto events = co_await accompanied(reader.next());
    if (!events)
      co_return std::move(events.error());
    for (auto& delta : steps_.feed(events->text)) {
      auto sent = co_await send(std::move(delta));
      if (!sent)
        co_return std::move(sent.error());
    }
    if (events->last)
      co_return caf::unit;
  }
}

/// Keeps what the agent left for its client.
io_task<result<void>> agent_answer::collect() {
  auto& server = ex_.server();
  auto opened = co_await accompanied(
      ask(server.worker, open_sandbox{ex_.caller(), box_}, server.limits.control_timeout));
  auto io = opened ? server.data.find(box_) : nullptr;
  if (!io)
    co_return caf::unit; // the sandbox is gone: what the agent said is still worth telling
  list_options where;
  where.path = artifacts_directory;
  auto files = co_await accompanied(io->list(std::move(where)));
  if (!files)
    co_return code_of(files.error()) == errc::cancelled ? result<void>{std::move(files.error())}
                                                        : result<void>{caf::unit};
  for (const auto& file : *files) {
    if (file.kind != file_kind::regular || artifacts_.size() >= most_artifacts)
      continue;
    auto path = std::string{artifacts_directory} + "/" + file.path;
    auto bytes =
        co_await accompanied(read_whole(io, std::move(path), server.models->artifacts().most_bytes()));
    if (!bytes && code_of(bytes.error()) == errc::cancelled)
      co_return std::move(bytes.error());
    if (!bytes)
      continue; // it is gone meanwhile, or too large
    auto kept =
        server.models->artifacts().add(ex_.caller().tenant, file_name(file.path), {}, std::move(*bytes));
    if (!kept)
      continue;
    auto url = own_address(ex_);
    artifacts_.push_back(descriptor(**kept, url.empty() ? url : url + "/v1/artifacts/" + (*kept)->id));
  }
  co_return caf::unit;
}

json agent_answer::usage() const {
  auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - boxed_at_).count();
  return {{"prompt_tokens", steps_.input_tokens()},
          {"completion_tokens", steps_.output_tokens()},
          {"total_tokens", steps_.input_tokens() + steps_.output_tokens()},
          {"sandbox_seconds", std::round(seconds * 1000) / 1000}};
}

io_task<result<void>> agent_answer::finish() {
  auto used = usage();
  if (!request_.stream) {
    json message{{"role", "assistant"}, {"content", steps_.answer()}};
    if (!reasoning_.empty())
      message["reasoning_content"] = std::move(reasoning_);
    if (!artifacts_.empty())
      message["artifacts"] = std::move(artifacts_);
    auto body = chunk();
    body["object"] = "chat.completion";
    body["choices"] = {{{"index", 0}, {"message", std::move(message)}, {"finish_reason", "stop"}}};
    body["usage"] = std::move(used);
    co_await sink_.answer(body.dump(-1, ' ', false, json::error_handler_t::replace));
    co_return caf::unit;
  }
  auto sent = co_await send({{"content", steps_.answer()}});
  if (sent && !artifacts_.empty())
    sent =
        co_await send({{"janus", {{"event", "artifacts"}, {"payload", {{"items", std::move(artifacts_)}}}}}});
  json ended{{"event", "sandbox_end"},
             {"payload", {{"sandbox_id", box_.value}, {"sandbox_seconds", used["sandbox_seconds"]}}}};
  if (sent)
    sent = co_await send({{"janus", std::move(ended)}}, "stop");
  auto last = chunk();
  last["choices"] = json::array();
  last["usage"] = std::move(used);
  if (sent)
    sent = co_await write(last);
  if (sent)
    sent = co_await sink_.write("data: [DONE]\n\n");
  if (!sent)
    co_return std::move(sent.error());
  co_await sink_.end();
  co_return caf::unit;
}

json agent_answer::chunk() const {
  return {{"id", ex_.request_id()},
          {"object", "chat.completion.chunk"},
          {"created", created_},
          {"model", request_.model}};
}

/// A delta of a stream; of an answer that is none, what it says of the work is kept.
io_task<result<void>> agent_answer::send(json delta, const char* finish_reason) {
  if (!request_.stream) {
    if (auto thought = delta.find("reasoning_content"); thought != delta.end())
      keep_reasoning(reasoning_, thought->get_ref<const std::string&>());
    co_return caf::unit;
  }
  auto body = chunk();
  json choice{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", nullptr}};
  if (finish_reason != nullptr)
    choice["finish_reason"] = finish_reason;
  body["choices"] = json::array({std::move(choice)});
  auto sent = co_await write(body);
  co_return sent;
}

io_task<result<void>> agent_answer::write(const json& body) {
  if (!std::exchange(begun_, true)) {
    auto begun = co_await sink_.begin();
    if (!begun)
      co_return std::move(begun.error());
  }
  auto text = "data: " + body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
  auto sent = co_await sink_.write(text);
  co_return sent;
}

/// Comments while nothing else is written. Returns when the client is gone.
/// @param over what is accompanied is done
io_task<void> agent_answer::company(const bool& over) {
  if (!request_.stream) {
    // While the sandbox is made, whoever makes it watches.
    if (!box_.value.empty())
      co_await routes::long_gone(ex_);
    else
      co_await routes::pause(settings_.limit);
    co_return;
  }
  do {
    co_await routes::pause(ex_.server().models->limits().silence);
    auto sent = co_await whole(comment());
    if (!sent)
      co_return;
  } while (!over && !ex_.home().grace_over.came());
}

io_task<result<void>> agent_answer::comment() {
  if (!std::exchange(begun_, true)) {
    auto begun = co_await sink_.begin();
    if (!begun)
      co_return std::move(begun.error());
  }
  auto sent = co_await sink_.write(ping);
  co_return sent;
}

template <class T>
io_task<result<T>> agent_answer::accompanied(io_task<result<T>> work) {
  using boost::asio::experimental::awaitable_operators::operator||;
  bool over = false;
  auto told = noting(std::move(work), over);
  auto pings = company(over);
  auto stopping = ex_.home().grace_over.wait();
  auto first = co_await (std::move(told) || std::move(pings) || std::move(stopping));
  if (first.index() == 0)
    co_return std::move(std::get<0>(first));
  if (first.index() == 2)
    co_return fail(errc::shutting_down, "The server stops");
  co_return fail(errc::cancelled, "The client is gone");
}

} // namespace sandy::http::gateway
