#include "guest/process_operations.hpp"

#include "guest/process_tree.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sandy::guest {
namespace {

/// Of a name that is not there, this much is shown.
constexpr std::size_t max_user_text = 64;

/// What people see of a command.
std::string command_text(const std::vector<std::string>& argv) {
  std::string text;
  for (const auto& word : argv) {
    if (text.size() >= max_command_text)
      break;
    if (!text.empty())
      text += ' ';
    text += word;
  }
  text.resize(std::min(text.size(), max_command_text));
  return text;
}

/// Queues what there is to say about a process.
void queue_description(connection& link, const process& one) {
  if (const auto& window = one.window())
    link.queue(terminal_entry{one.describe(), *window});
  else
    link.queue(one.describe());
}

/// Collects the script, starts the process, and relays it when it is a foreground one.
class spawn_operation final : public operation, output_sink, input_source {
public:
  /// @param terminal for a process on one: its window. @param group that it joins; may be empty.
  /// @param user whom it runs as; none: us.
  spawn_operation(connection& link, process_table& table, spawn_request request,
                  std::optional<window_size> terminal, unique_fd group,
                  std::optional<credentials> user = std::nullopt)
      : operation(link)
      , table_(table)
      , request_(std::move(request))
      , terminal_(terminal)
      , group_(std::move(group))
      , user_(std::move(user)) {}

  ~spawn_operation() override {
    if (!process_)
      return;
    process_->input().leave(*this);
    process_->abandon(request_.flags & spawn_request::kill_on_disconnect);
  }

  void on_frame(frame_type type, std::string_view payload) override {
    if (!started_ && type == frame_type::data)
      return add_script(payload);
    if (!started_ && type == frame_type::end)
      return start();
    if (started_ && (type == frame_type::stdin_data || type == frame_type::stdin_end))
      return add_input(type, payload);
    operation::on_frame(type, payload);
  }

  void on_writable() override {
    if (process_)
      process_->resume();
  }

private:
  void add_script(std::string_view bytes) {
    if (int error = script_.append(bytes); error == EILSEQ)
      link_.fail(failure_kind::invalid, error, "The command contains a NUL byte");
    else if (error == EFBIG)
      link_.fail(failure_kind::invalid, error, "The command is too long");
    else if (error != 0)
      link_.fail(failure_kind::start, error);
  }

  void start() {
    started_ = true;
    if (terminal_ && request_.argv.empty() && script_.empty())
      request_.argv = shell_for(request_.env);
    auto argv = request_.argv.empty() ? script_.command() : request_.argv;
    auto text =
        request_.argv.empty() ? std::string{script_.head().substr(0, max_command_text)} : command_text(argv);
    auto outcome = run(std::move(argv), std::move(text));
    // Held no longer than needed: the process may run for days.
    script_ = {};
    group_.reset();
    request_.env = {};
    request_.argv = {};
    if (!outcome.made) {
      link_.fail(outcome.why.kind, outcome.why.error, outcome.why.subject);
      return;
    }
    if (outcome.made->background()) {
      queue_description(link_, *outcome.made);
      link_.finish();
      return;
    }
    process_ = outcome.made;
    link_.send(started{process_->id()});
  }

  process_table::outcome run(std::vector<std::string> argv, std::string text) {
    if (terminal_)
      return table_.start_on_terminal(request_, *terminal_, std::move(argv), script_.file(), std::move(text));
    output_sink* sink = request_.flags & spawn_request::background ? nullptr : this;
    return table_.start(request_, std::move(argv), {script_.file(), group_.get()}, std::move(text), sink,
                        user_ ? &*user_ : nullptr);
  }

  void add_input(frame_type type, std::string_view bytes) {
    if (!process_ || !process_->input().is_open())
      return; // it ended, or reads nothing: its exit is the answer
    if (type == frame_type::stdin_end) {
      process_->input().close();
      return;
    }
    input_ = bytes;
    link_.hold(true); // one piece at a time
    process_->input().enter(*this);
  }

  bool has_room() const override { return link_.has_room(); }
  void on_output(std::string_view frame) override { link_.send_frame(frame); }
  void on_exit(const exited& exit) override {
    process_ = nullptr;
    link_.send(exit);
    link_.finish();
  }

  std::string_view pending() const override { return std::string_view{input_}.substr(taken_); }
  void on_taken(std::size_t bytes) override {
    taken_ += bytes;
    if (taken_ < input_.size())
      return;
    process_->input().leave(*this);
    on_refused();
  }
  void on_refused() override {
    input_ = {};
    taken_ = 0;
    link_.hold(false);
  }

  process_table& table_;
  spawn_request request_;
  std::optional<window_size> terminal_;
  unique_fd group_;
  std::optional<credentials> user_;
  script_text script_;
  process* process_ = nullptr;
  std::string input_;
  std::size_t taken_ = 0;
  bool started_ = false;
};

/// Sends what is kept of a background process's output, and what comes.
class output_operation final : public operation, output_follower {
public:
  output_operation(connection& link, process& source, const output_request& request)
      : operation(link)
      , source_(source)
      , offset_(request.offset)
      , follow_(request.follow) {
    source_.follow(*this);
    on_more();
  }
  ~output_operation() override { source_.unfollow(*this); }

  void on_writable() override { on_more(); }

private:
  void on_more() override {
    const auto& kept = *source_.kept();
    while (!ended_ && link_.has_room()) {
      if (offset_ < kept.start()) {
        link_.send(gap{offset_, kept.start()});
        offset_ = kept.start();
      } else if (offset_ < kept.end()) {
        send_piece(kept.read(offset_, piece_bytes));
      } else {
        if (source_.finished())
          end(*source_.exit());
        else if (!follow_)
          end_early();
        return;
      }
    }
  }

  void send_piece(const ring::piece& piece) {
    std::string payload;
    payload.reserve(chunk_head::size + piece.bytes.size());
    append_fields(payload, chunk_head{piece.stream, offset_});
    payload.append(piece.bytes);
    offset_ += piece.bytes.size();
    link_.send(frame_type::chunk, payload);
  }

  void end(const exited& exit) {
    ended_ = true;
    link_.send(exit);
    link_.finish();
  }

  void end_early() {
    ended_ = true;
    link_.send(frame_type::still_running);
    link_.finish();
  }

  process& source_;
  std::uint64_t offset_;
  bool follow_;
  bool ended_ = false;
};

/// Feeds a process's standard input from a connection of its own.
class input_operation final : public operation, input_source {
public:
  input_operation(connection& link, process& target, bool close)
      : operation(link)
      , target_(&target)
      , close_(close) {
    target_->input().enter(*this);
  }
  ~input_operation() override {
    if (target_)
      target_->input().leave(*this);
  }

  void on_frame(frame_type type, std::string_view payload) override {
    if (type == frame_type::data && target_) {
      bytes_ = payload;
      taken_ = 0;
      link_.hold(true); // one piece at a time: this is what slows a client down
      target_->input().pump();
    } else if (type == frame_type::end && target_) {
      auto* target = std::exchange(target_, nullptr);
      target->input().leave(*this);
      if (close_)
        target->input().close();
      link_.succeed();
    } else {
      operation::on_frame(type, payload);
    }
  }

private:
  std::string_view pending() const override { return std::string_view{bytes_}.substr(taken_); }
  void on_taken(std::size_t bytes) override {
    taken_ += bytes;
    if (taken_ == bytes_.size()) {
      bytes_.clear();
      taken_ = 0;
      link_.hold(false);
    }
  }
  void on_refused() override {
    target_ = nullptr;
    link_.fail(failure_kind::input_closed);
  }

  process* target_;
  bool close_;
  std::string bytes_;
  std::size_t taken_ = 0;
};

} // namespace

std::unique_ptr<operation> start_spawn(connection& link, process_table& table, spawn_request request) {
  return std::make_unique<spawn_operation>(link, table, std::move(request), std::nullopt, unique_fd{});
}

std::unique_ptr<operation> start_spawn(connection& link, process_table& table, group_request request,
                                       unique_fd group) {
  if (!group) { // it must not run where nobody finds it
    link.fail(failure_kind::protocol, 0, "No descriptor of a group came along");
    return nullptr;
  }
  return std::make_unique<spawn_operation>(link, table, std::move(request.process), std::nullopt,
                                           std::move(group));
}

std::unique_ptr<operation> start_spawn(connection& link, process_table& table, user_request request) {
  auto user = credentials_of(request.user);
  if (!user) {
    link.fail(failure_kind::invalid, EINVAL,
              "There is no such user: " + request.user.substr(0, max_user_text));
    return nullptr;
  }
  auto& env = request.process.env;
  if (std::none_of(env.begin(), env.end(), [](const std::string& each) { return each.starts_with("HOME="); }))
    env.push_back("HOME=" + (user->home.empty() ? "/" : user->home));
  return std::make_unique<spawn_operation>(link, table, std::move(request.process), std::nullopt, unique_fd{},
                                           std::move(user));
}

std::unique_ptr<operation> start_spawn(connection& link, process_table& table, terminal_request request) {
  return std::make_unique<spawn_operation>(link, table, std::move(request.process), request.window,
                                           unique_fd{});
}

std::unique_ptr<operation> start_output(connection& link, process_table& table,
                                        const output_request& request) {
  auto* source = table.find(request.process_id);
  if (!source || !source->background()) {
    link.fail(failure_kind::unknown_process);
    return nullptr;
  }
  return std::make_unique<output_operation>(link, *source, request);
}

std::unique_ptr<operation> start_input(connection& link, process_table& table, const input_request& request) {
  auto* target = table.find(request.process_id);
  if (!target || !target->alive() || !target->input().is_open()) {
    link.fail(!target            ? failure_kind::unknown_process
              : !target->alive() ? failure_kind::process_ended
                                 : failure_kind::input_closed);
    return nullptr;
  }
  if (request.close && target->window()) {
    link.fail(failure_kind::invalid, EINVAL, "A terminal's input has no end; write Ctrl-D (0x04) instead");
    return nullptr;
  }
  return std::make_unique<input_operation>(link, *target, request.close);
}

void answer_signal(connection& link, process_table& table, const signal_request& request) {
  auto* target = table.find(request.process_id);
  if (!target)
    return link.fail(failure_kind::unknown_process);
  if (!target->alive()) {
    if (request.tree && request.signal == SIGKILL && kill_session(target->pid()))
      return link.succeed(); // what it had left running
    return link.fail(failure_kind::process_ended);
  }
  if (request.signal < 1 || request.signal > SIGRTMAX)
    return link.fail(failure_kind::invalid, EINVAL, "Unknown signal");
  if (request.tree)
    target->kill_tree(request.signal);
  else if (::kill(target->pid(), request.signal) != 0)
    return link.fail(failure_kind::start, errno);
  link.succeed();
}

void answer_resize(connection& link, process_table& table, const resize_request& request) {
  auto* target = table.find(request.process_id);
  if (!target)
    return link.fail(failure_kind::unknown_process);
  if (!target->window())
    return link.fail(failure_kind::invalid, ENOTTY, "The process has no terminal");
  if (!target->alive())
    return link.fail(failure_kind::process_ended);
  if (int error = target->resize(request.window); error != 0)
    return link.fail(failure_kind::terminal, error);
  link.succeed();
}

void answer_processes(connection& link, process_table& table) {
  table.each_background([&link](const process& one) { queue_description(link, one); });
  link.succeed();
}

void answer_process(connection& link, process_table& table, const process_request& request) {
  auto* found = table.find(request.process_id);
  if (!found)
    return link.fail(failure_kind::unknown_process);
  queue_description(link, *found);
  link.finish();
}

} // namespace sandy::guest
