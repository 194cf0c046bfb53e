#include "http/platform/nested_exec.hpp"

#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"
#include "http/routes/command_result.hpp"
#include "http/routes/creating.hpp"
#include "http/shard.hpp"
#include "http/stream_lease.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace sandy::http::platform {

namespace {

using std::chrono::milliseconds;

/// What code gets, as agents are told of their code sandbox.
constexpr milliseconds most_code_time{60'000};
constexpr std::uint64_t code_memory_bytes = 512ull << 20;
/// A child that nobody uses any more makes room for the next: a sandbox has few.
constexpr std::uint32_t idle_seconds = 60;
/// Of each stream in the answer: it is read by a program that has to hold it.
constexpr std::uint64_t most_output_bytes = 4ull << 20;

struct language {
  std::string_view name;
  std::string_view file;
  std::string_view command; ///< run where the file is
};
constexpr language languages[]{{"python", "main.py", "python3 main.py"},
                               {"javascript", "main.js", "node main.js"},
                               {"bash", "main.sh", "bash main.sh"},
                               {"go", "main.go", "go run main.go"},
                               {"rust", "main.rs", "rustc -o main main.rs && ./main"}};

const language* language_of(std::string_view name) {
  auto word = codec::lower(name);
  if (word == "python3" || word == "py")
    word = "python";
  if (word == "js" || word == "node")
    word = "javascript";
  if (word == "sh" || word == "shell")
    word = "bash";
  auto* found = std::ranges::find(languages, std::string_view{word}, &language::name);
  return found == std::end(languages) ? nullptr : found;
}

/// A command holds a place among its tenant's streams, as one of the API does. The route is nobody's that
/// limits it.
io_task<result<void>> take_stream(exchange& ex, std::optional<stream_lease>& lease) {
  auto& server = ex.server();
  if (server.limiters.empty())
    co_return caf::unit;
  admit_request question{ex.inside().tenant, request_cost::stream};
  const auto& limiter = server.limiter_of(question.tenant);
  question.lease = lease.emplace(limiter).id();
  auto decision = co_await ask(limiter, std::move(question), server.limits.control_timeout);
  if (!decision)
    co_return std::move(decision.error());
  if (decision->refused_by != budget_kind::none)
    co_return fail_for_now(errc::rate_limited, refusal_text(decision->refused_by), decision->retry_after);
  co_return caf::unit;
}

/// A child that was there: it must be one of the sandbox that asks.
io_task<result<sandbox_id>> known_child(exchange& ex, sandbox_id wanted, bool for_code) {
  auto& server = ex.server();
  if (wanted == ex.inside().sandbox)
    co_return fail(errc::forbidden, "A sandbox is not its own child");
  auto opened = co_await ask(server.worker, open_sandbox{ex.inside(), wanted}, server.limits.control_timeout);
  if (!opened)
    co_return std::move(opened.error());
  if (!for_code)
    co_return wanted;
  get_sandbox question{ex.inside(), wanted};
  auto info = co_await ask(server.worker, std::move(question), server.limits.control_timeout);
  if (!info)
    co_return std::move(info.error());
  // Whoever hands code over relies on what it is promised to get.
  if (info->network.mode != network_mode::none || info->limits.memory_bytes > code_memory_bytes)
    co_return fail(errc::conflict,
                   "This child has more network or memory than code gets: it is no place for it");
  co_return wanted;
}

io_task<result<sandbox_id>> new_child(exchange& ex, bool for_code) {
  create_sandbox wish;
  wish.caller = ex.inside();
  wish.idle_timeout_seconds = idle_seconds;
  if (for_code) {
    wish.limits.memory_bytes = code_memory_bytes;
    wish.network.mode = network_mode::none;
  }
  auto paid = co_await routes::pay_for(ex.server(), ex.inside().tenant, 1);
  if (!paid)
    co_return std::move(paid.error());
  auto made = co_await routes::ask_to_create(ex, std::move(wish), ex.server().limits.create_timeout);
  if (!made)
    co_return std::move(made.error());
  co_return made->id;
}

io_task<result<void>> put_code(std::shared_ptr<sandbox_io> io, std::string path, std::string code) {
  write_options options;
  options.path = std::move(path);
  auto sink = co_await io->write_file(std::move(options));
  if (!sink)
    co_return std::move(sink.error());
  auto written = co_await (*sink)->write(code);
  if (!written)
    co_return written;
  auto done = co_await (*sink)->commit(false);
  if (!done)
    co_return std::move(done.error());
  co_return caf::unit;
}

} // namespace

result<nested_request> parse_nested(const nlohmann::json& body, milliseconds standard) {
  nested_request request;
  codec::field_reader fields{body};
  if (auto id = fields.text({"sandbox_id", "sandboxId"})) {
    if (!is_sandbox_id(*id))
      return no_such_sandbox();
    request.child.value = std::move(*id);
  }
  const auto is_code = fields.find({"code"}) != nullptr;
  auto as_command = body;
  as_command.erase("stream");
  as_command.erase("background");
  if (is_code) {
    auto code = fields.text({"code"});
    auto name = fields.text({"language"}).value_or("python");
    auto* known = language_of(name);
    if (known == nullptr)
      fields.refuse(errc::invalid_argument, "language must be python, javascript, bash, go or rust");
    if (fields.failed())
      return fields.error();
    request.language = known->name;
    request.code = std::move(*code);
    as_command["command"] = "true"; // replaced by what runs the code
    standard = most_code_time;
  }
  if (fields.failed())
    return fields.error();
  auto command = codec::parse_exec(as_command, standard);
  if (!command)
    return std::move(command.error());
  request.spec = std::move(command->spec);
  if (is_code)
    request.spec.timeout = std::min(request.spec.timeout, most_code_time);
  return request;
}

std::string code_file(const nested_request& request) {
  auto* known = language_of(request.language);
  return known == nullptr ? std::string{} : std::string{known->file};
}

std::string script_for(const nested_request& request, const std::string& directory) {
  auto* known = language_of(request.language);
  if (known == nullptr)
    return {};
  return "cd " + directory + " || exit\n(" + std::string{known->command} + ")\ncode=$?\ncd /\nrm -rf " +
         directory + "\nexit $code\n";
}

io_task<result<void>> nested_exec(exchange& ex) {
  auto& server = ex.server();
  auto body = co_await routes::read_json(ex);
  if (!body)
    co_return std::move(body.error());
  auto request = parse_nested(*body, server.limits.exec_timeout);
  if (!request)
    co_return std::move(request.error());
  *body = nullptr;
  const auto is_code = !request->language.empty();
  std::optional<stream_lease> lease;
  auto taken = co_await take_stream(ex, lease);
  if (!taken)
    co_return taken;
  result<sandbox_id> child = sandbox_id{};
  if (request->child.value.empty())
    child = co_await new_child(ex, is_code);
  else
    child = co_await known_child(ex, request->child, is_code);
  if (!child && code_of(child.error()) == errc::cancelled)
    co_return caf::unit; // nobody waits for an answer
  if (!child)
    co_return std::move(child.error());
  auto io = server.data.find(*child);
  if (!io)
    co_return no_such_sandbox();
  if (is_code) {
    std::string directory = "/tmp/exec-";
    ex.home().append_request_id(directory);
    auto put = co_await routes::soon(
        ex, put_code(io, directory + "/" + code_file(*request), std::move(request->code)));
    if (!put)
      co_return put;
    request->spec.script = script_for(*request, directory);
  }
  bool started = false;
  auto all = co_await routes::run_command(server, io, std::move(request->spec), most_output_bytes, started);
  if (!all)
    co_return std::move(all.error());
  nlohmann::json more;
  more["sandbox_id"] = more["sandboxId"] = child->value;
  co_await routes::send_result(ex, std::move(*all), std::move(more));
  co_return caf::unit;
}

} // namespace sandy::http::platform
