#include "http/routes/command_result.hpp"

#include "http/codec/utf8.hpp"
#include "metrics/registry.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::routes {

namespace {

using metrics::exec_outcome;

// The sandbox kills the command at its timeout and says so. Only a sandbox that does not answer any more runs
// into this.
constexpr std::chrono::seconds answer_grace{10};

// Larger answers are sent in pieces, so that escaping does not multiply them in memory.
constexpr std::size_t small_answer = 256 * 1024;

void keep(codec::kept_output& kept, std::string_view bytes, std::uint64_t limit) {
  auto room = limit - std::min<std::uint64_t>(limit, kept.bytes.size());
  kept.bytes.append(bytes.substr(0, room));
  kept.cut += bytes.size() - std::min<std::uint64_t>(bytes.size(), room);
}

io_task<result<command_result>> collect(std::unique_ptr<process_stream> stream, std::uint64_t limit) {
  command_result all;
  for (;;) {
    auto event = co_await stream->next();
    if (!event)
      co_return event.error();
    if (auto* chunk = std::get_if<output_chunk>(&*event)) {
      keep(chunk->stream == output_stream::standard_output ? all.out : all.err, chunk->bytes, limit);
    } else if (auto* exit = std::get_if<process_exit>(&*event)) {
      all.exit = *exit;
      co_return all;
    }
  }
}

exec_outcome outcome_of(const process_exit& exit) {
  return exit.timed_out     ? exec_outcome::timeout
         : exit.signal != 0 ? exec_outcome::signaled
                            : exec_outcome::exited;
}

/// The output as text that JSON can hold, and what clients look for when the time was over.
void make_text(command_result& all) {
  all.out.bytes = codec::repair_utf8(std::move(all.out.bytes));
  all.err.bytes = codec::repair_utf8(std::move(all.err.bytes));
  if (!all.exit.timed_out)
    return;
  auto& err = all.err.bytes;
  if (!err.empty() && err.back() != '\n')
    err.push_back('\n');
  err.append("Command timed out");
}

} // namespace

void count_exit(context& server, const process_exit& exit) {
  server.metrics.exec_finished(outcome_of(exit), static_cast<double>(exit.duration_ms) / 1000);
  server.metrics.guest_bytes(metrics::direction::out, exit.output_bytes);
}

io_task<result<command_result>> run_command(context& server, std::shared_ptr<sandbox_io> io,
                                            process_spec spec, std::uint64_t limit, bool& started) {
  started = false;
  auto time = spec.timeout + answer_grace;
  auto stream = co_await within(io->exec(std::move(spec)), time);
  if (!stream) {
    server.metrics.exec_finished(exec_outcome::failed, 0);
    co_return std::move(stream.error());
  }
  started = true;
  auto all = co_await within(collect(std::move(*stream), limit), time);
  if (all)
    count_exit(server, all->exit);
  else
    server.metrics.exec_finished(exec_outcome::lost, 0);
  co_return all;
}

io_task<void> send_result(exchange& ex, command_result all, nlohmann::json more) {
  make_text(all);
  more.update(codec::exec_fields(all.exit, all.out.cut, all.err.cut));
  auto rest = more.dump(); // of the object, without its opening brace
  rest.replace(0, 1, "\",");
  if (all.out.bytes.size() + all.err.bytes.size() <= small_answer) {
    std::string body = "{\"stdout\":\"";
    codec::append_json_escaped(body, all.out.bytes);
    body += "\",\"stderr\":\"";
    codec::append_json_escaped(body, all.err.bytes);
    body += rest;
    co_await ex.reply_bytes(200, "application/json", std::move(body));
    co_return;
  }
  auto sent = co_await ex.begin_stream(200, "application/json", std::nullopt);
  if (sent)
    sent = co_await ex.write("{\"stdout\":\"");
  if (sent)
    sent = co_await write_escaped(ex, all.out.bytes);
  if (sent)
    sent = co_await ex.write("\",\"stderr\":\"");
  if (sent)
    sent = co_await write_escaped(ex, all.err.bytes);
  if (sent)
    sent = co_await ex.write(rest);
  if (sent)
    co_await ex.end_stream();
}

} // namespace sandy::http::routes
