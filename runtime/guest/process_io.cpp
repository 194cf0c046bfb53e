#include "runtime/guest/guest_io.hpp"

#include <map>

namespace sandy::guest {

namespace {

process_exit exit_of(const exited& from) {
  return {from.exit_code, from.signal, from.timed_out, from.duration_ms, from.output_bytes};
}

process_info info_of(process_entry from) {
  process_info info;
  info.process_id = from.process_id;
  info.command = std::move(from.command);
  info.status = from.ended ? process_status::exited : process_status::running;
  info.exit = exit_of(from.exit);
  info.started_at = from.started_at_ms;
  info.output_bytes = from.output_bytes;
  info.output_start = from.output_start;
  return info;
}

process_info info_of(terminal_entry from) {
  auto info = info_of(std::move(from.process));
  info.terminal = terminal_size{from.window.columns, from.window.rows};
  return info;
}

/// A description, of a process with a terminal or without. Nothing: it is neither.
std::optional<process_info> info_in(const connection::frame& frame) {
  if (frame.type == process_entry::type) {
    if (auto found = decode<process_entry>(frame.payload))
      return info_of(std::move(*found));
  } else if (frame.type == terminal_entry::type) {
    if (auto found = decode<terminal_entry>(frame.payload))
      return info_of(std::move(*found));
  }
  return std::nullopt;
}

io_task<result<process_info>> receive_info(connection& link) {
  auto frame = co_await link.receive();
  if (!frame)
    co_return std::move(frame.error());
  auto info = info_in(*frame);
  if (!info)
    co_return link.violation();
  co_return std::move(*info);
}

window_size window_of(const terminal_size& size) { return {size.columns, size.rows}; }

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

/// Later entries replace earlier ones of the same name. Fails for names and values that an environment cannot
/// hold.
result<std::vector<std::string>> merged(const environment& own, const environment& more) {
  std::map<std::string_view, std::string_view> by_name;
  for (const auto* each : {&own, &more})
    for (const auto& [name, value] : *each) {
      if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
        return fail(errc::invalid_argument,
                    "An environment variable has a name or value that cannot be used");
      by_name[name] = value;
    }
  std::vector<std::string> flat;
  flat.reserve(by_name.size());
  for (const auto& [name, value] : by_name)
    flat.push_back(std::string{name} + "=" + std::string{value});
  return flat;
}

/// What says that somebody is root is not for others; the guest knows where they are at home.
user_request as_user(spawn_request process, std::string user) {
  std::erase_if(process.env, [](const std::string& each) {
    return each == "HOME=/root" || each == "USER=root" || each == "LOGNAME=root";
  });
  return {std::move(process), std::move(user)};
}

class guest_process_stream final : public process_stream {
public:
  guest_process_stream(std::unique_ptr<connection> link, std::uint32_t id)
      : link_(std::move(link))
      , id_(id) {}

  std::uint32_t process_id() const noexcept override { return id_; }

  io_task<result<process_event>> next() override {
    auto frame = co_await link_->receive();
    if (!frame)
      co_return std::move(frame.error());
    switch (frame->type) {
    case frame_type::chunk:
      if (auto event = chunk_of(std::move(frame->payload)))
        co_return process_event{std::move(*event)};
      break;
    case frame_type::gap:
      if (auto lost = decode<gap>(frame->payload))
        co_return process_event{output_gap{lost->from, lost->to}};
      break;
    case frame_type::exited:
      if (auto end = decode<exited>(frame->payload))
        co_return process_event{exit_of(*end)};
      break;
    case frame_type::still_running:
      co_return process_event{still_running{}};
    default:
      break;
    }
    co_return link_->violation();
  }

private:
  static std::optional<output_chunk> chunk_of(std::string payload) {
    if (payload.size() < chunk_head::size)
      return std::nullopt;
    auto head = decode<chunk_head>(std::string_view{payload}.substr(0, chunk_head::size));
    if (!head || (head->stream != stream_id::standard_output && head->stream != stream_id::standard_error))
      return std::nullopt;
    payload.erase(0, chunk_head::size);
    auto stream = head->stream == stream_id::standard_output ? output_stream::standard_output
                                                             : output_stream::standard_error;
    return output_chunk{stream, head->offset, std::move(payload)};
  }

  std::unique_ptr<connection> link_;
  std::uint32_t id_;
};

} // namespace

io_task<result<guest_io::link>> guest_io::spawn(process_spec spec, std::uint8_t flags) {
  auto env = merged(env_, spec.env);
  if (!env)
    co_return std::move(env.error());
  if (has_nul(spec.cwd))
    co_return fail(errc::invalid_argument, "The working directory contains a NUL byte");
  spawn_request request;
  request.flags = flags;
  if (spec.open_stdin)
    request.flags |= spawn_request::open_stdin;
  if (spec.kill_on_disconnect)
    request.flags |= spawn_request::kill_on_disconnect;
  if (spec.unheeded)
    request.flags |= spawn_request::unheeded;
  if (spec.cwd.empty()) {
    request.directory = workdir_;
    request.flags |= spawn_request::create_directory;
  } else {
    request.directory = spec.cwd.front() == '/' ? spec.cwd : workdir_ + "/" + spec.cwd;
  }
  request.env = std::move(*env);
  request.argv = std::move(spec.argv);
  request.timeout_ms = static_cast<std::uint64_t>(spec.timeout.count());
  request.ring_bytes = spec.ring_bytes;
  std::string frames;
  if (spec.terminal)
    append_frame(frames, terminal_request{std::move(request), window_of(*spec.terminal)});
  else if (spec.group)
    append_frame(frames, group_request{std::move(request)});
  else if (!spec.user.empty())
    append_frame(frames, as_user(std::move(request), std::move(spec.user)));
  else
    append_frame(frames, request);
  for (std::string_view rest = spec.script; !rest.empty();
       rest.remove_prefix(std::min(rest.size(), piece_bytes)))
    append_frame(frames, frame_type::data, rest.substr(0, piece_bytes));
  append_frame(frames, frame_type::end);
  auto asked = co_await ask(std::move(frames), std::move(spec.group));
  co_return std::move(asked);
}

io_task<result<std::unique_ptr<process_stream>>> guest_io::exec(process_spec spec) {
  auto asked = co_await spawn(std::move(spec), 0);
  if (!asked)
    co_return std::move(asked.error());
  auto begun = co_await (*asked)->receive_as<started>();
  if (!begun)
    co_return std::move(begun.error());
  co_return std::make_unique<guest_process_stream>(std::move(*asked), begun->process_id);
}

io_task<result<process_info>> guest_io::start(process_spec spec) {
  auto asked = co_await spawn(std::move(spec), spawn_request::background);
  if (!asked)
    co_return std::move(asked.error());
  auto begun = co_await receive_info(**asked);
  co_return std::move(begun);
}

io_task<result<std::vector<process_info>>> guest_io::processes() {
  std::string frames;
  append_frame(frames, frame_type::processes);
  auto asked = co_await ask(std::move(frames));
  if (!asked)
    co_return std::move(asked.error());
  std::vector<process_info> all;
  for (;;) {
    auto frame = co_await (*asked)->receive();
    if (!frame)
      co_return std::move(frame.error());
    if (frame->type == frame_type::done)
      co_return std::move(all);
    auto found = info_in(*frame);
    // The guest keeps 64 running and 128 ended ones; a list without end is not its doing.
    if (!found || all.size() >= 1024)
      co_return (*asked)->violation();
    all.push_back(std::move(*found));
  }
}

io_task<result<process_info>> guest_io::process(std::uint32_t process_id) {
  auto asked = co_await ask_with(process_request{process_id});
  if (!asked)
    co_return std::move(asked.error());
  auto found = co_await receive_info(**asked);
  co_return std::move(found);
}

io_task<result<std::unique_ptr<process_stream>>> guest_io::output(std::uint32_t process_id,
                                                                  std::uint64_t offset, bool follow) {
  auto asked = co_await ask_with(output_request{process_id, offset, follow});
  if (!asked)
    co_return std::move(asked.error());
  co_return std::make_unique<guest_process_stream>(std::move(*asked), process_id);
}

io_task<result<void>> guest_io::write_stdin(std::uint32_t process_id, std::string bytes, bool close) {
  auto asked = co_await ask_with(input_request{process_id, close});
  if (!asked)
    co_return std::move(asked.error());
  for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(rest.size(), piece_bytes))) {
    std::string frame;
    append_frame(frame, frame_type::data, rest.substr(0, piece_bytes));
    auto sent = co_await (*asked)->send(std::move(frame));
    if (!sent)
      co_return std::move(sent);
  }
  std::string last;
  append_frame(last, frame_type::end);
  auto sent = co_await (*asked)->send(std::move(last));
  if (!sent)
    co_return std::move(sent);
  auto taken = co_await (*asked)->expect(frame_type::done);
  co_return std::move(taken);
}

io_task<result<void>> guest_io::resize(std::uint32_t process_id, terminal_size size) {
  auto outcome = co_await do_one(resize_request{process_id, window_of(size)});
  co_return std::move(outcome);
}

io_task<result<void>> guest_io::signal(std::uint32_t process_id, int signal, bool tree) {
  auto outcome = co_await do_one(signal_request{process_id, signal, tree});
  co_return std::move(outcome);
}

} // namespace sandy::guest
