#include "guest/process.hpp"

#include "guest/connection.hpp"
#include "guest/process_tree.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace sandy::guest {

namespace {

/// More than a terminal holds of what was printed and not read (8 KiB on its way, 4 KiB ready). How much it
/// is cannot be asked: reading delivers it all before it says that there is nothing.
constexpr std::size_t max_terminal_backlog = 64 * 1024;

} // namespace

void input_pipe::close() {
  registration_.watch(fd_.get(), 0);
  fd_.reset();
  while (!queue_.empty()) {
    auto* refused = queue_.front();
    queue_.pop_front();
    refused->on_refused();
  }
}

void input_pipe::enter(input_source& source) {
  if (!fd_) {
    source.on_refused();
    return;
  }
  queue_.push_back(&source);
  pump();
}

void input_pipe::leave(input_source& source) {
  std::erase(queue_, &source);
  if (fd_)
    pump();
}

void input_pipe::pump() {
  while (fd_ && !queue_.empty()) {
    auto& front = *queue_.front();
    auto bytes = front.pending();
    if (bytes.empty())
      break;
    auto count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count > 0) {
      front.on_taken(static_cast<std::size_t>(count)); // may leave the queue
    } else if (errno == EAGAIN) {
      if (!registration_.watch(fd_.get(), EPOLLOUT))
        registration_.again();
      return;
    } else if (errno != EINTR) {
      close();
      return;
    }
  }
  if (fd_)
    registration_.watch(fd_.get(), 0);
}

void input_pipe::on_events(std::uint32_t) { pump(); }

void output_pipe::want(bool wanted) {
  // When the kernel has no memory for another watch the pipe is looked at in every round instead: slow, but
  // nothing is lost.
  if (fd_ && !registration_.watch(fd_.get(), wanted ? EPOLLIN : 0))
    registration_.again();
}

std::size_t output_pipe::waiting() const {
  int bytes = 0;
  return fd_ && ::ioctl(fd_.get(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::size_t output_pipe::read(std::size_t limit) {
  if (!fd_)
    return 0;
  auto* bytes = scratch().bytes();
  auto count = ::read(fd_.get(), bytes, std::min(limit, piece_bytes));
  if (count > 0) {
    left_at_exit -= std::min(left_at_exit, static_cast<std::size_t>(count));
    owner_.on_output(stream_, bytes, static_cast<std::size_t>(count));
    return static_cast<std::size_t>(count);
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  close();
  return 0;
}

void output_pipe::close() {
  registration_.watch(fd_.get(), 0);
  fd_.reset();
  left_at_exit = 0;
}

void output_pipe::on_events(std::uint32_t) { owner_.on_pipe_event(*this); }

process::process(event_loop& loop, std::uint32_t id, std::string command, std::uint64_t& last_sign_ms)
    : id_(id)
    , command_(std::move(command))
    , last_sign_ms_(last_sign_ms)
    , timeout_(loop, *this)
    , input_(loop)
    , out_(loop, *this, stream_id::standard_output)
    , err_(loop, *this, stream_id::standard_error) {}

process_entry process::describe() const {
  process_entry entry;
  entry.process_id = id_;
  entry.command = command_;
  entry.ended = exit_.has_value();
  entry.exit = exit_.value_or(exited{});
  entry.started_at_ms = started_at_ms_;
  entry.output_bytes = output_bytes_;
  entry.output_start = ring_ ? ring_->start() : output_bytes_;
  return entry;
}

void process::begin(unique_fd out, unique_fd err, std::uint64_t timeout_ms, output_sink* sink) {
  alive_ = true;
  sink_ = sink;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  started_at_ms_ = static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
  started_ms_ = last_sign_ms_ = monotonic_ms();
  out_.open(std::move(out));
  err_.open(std::move(err));
  update_pipes();
  if (timeout_ms > 0)
    timeout_.start(timeout_ms);
}

void process::resume() {
  if (!alive_ && !finished())
    try_finish();
  update_pipes();
}

void process::abandon(bool kill) {
  sink_ = nullptr;
  if (kill)
    kill_tree(SIGKILL);
  resume();
}

void process::kill_tree(int signal) {
  if (alive_)
    signal_tree(pid_, signal);
}

void process::on_timer() {
  // It may have ended by itself, with the news still on its way: then it did not time out.
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == pid_)
    return;
  timed_out_ = true;
  kill_tree(SIGKILL);
}

void process::on_output(stream_id stream, char* bytes, std::size_t count) {
  last_sign_ms_ = monotonic_ms();
  if (finished())
    return; // of children that outlived it: the stream has ended
  auto offset = output_bytes_;
  output_bytes_ += count;
  if (ring_) {
    ring_->append(stream, {bytes, count});
  } else if (sink_) {
    // The header goes right before the bytes (they lie in the scratch space, which leaves room), so nothing
    // is copied.
    constexpr auto head_bytes = header_bytes + chunk_head::size;
    static_assert(scratch_space::margin >= head_bytes);
    std::string head;
    append_fields(head, chunk_head{stream, offset});
    char* frame = bytes - head_bytes;
    put_header(frame, static_cast<std::uint32_t>(chunk_head::size + count),
               static_cast<std::uint8_t>(frame_type::chunk));
    std::copy(head.begin(), head.end(), frame + header_bytes);
    sink_->on_output({frame, head_bytes + count});
  }
}

void process::on_pipe_event(output_pipe& pipe) {
  if (may_read()) {
    // After the exit only what was there at the exit counts; what comes later must not delay the news.
    bool draining = !alive_ && !finished();
    pipe.read(draining ? std::max<std::size_t>(pipe.left_at_exit, 1) : piece_bytes);
    if (ring_)
      wake_followers();
    if (draining)
      try_finish();
  }
  update_pipes();
}

void process::update_pipes() {
  bool draining = !alive_ && !finished();
  bool room = may_read();
  out_.want(room && !(draining && out_.left_at_exit == 0));
  err_.want(room && !(draining && err_.left_at_exit == 0));
}

void process::on_reaped(int status) {
  alive_ = false;
  status_ = status;
  last_sign_ms_ = monotonic_ms();
  duration_ms_ = last_sign_ms_ - started_ms_;
  timeout_.stop();
  input_.close();
  out_.left_at_exit = window_ ? max_terminal_backlog : out_.waiting();
  err_.left_at_exit = err_.waiting();
  try_finish();
  update_pipes();
}

void process::try_finish() {
  for (auto* pipe : {&out_, &err_})
    while (pipe->left_at_exit > 0 && may_read() && pipe->read(pipe->left_at_exit) > 0) {
    }
  if (window_) {
    // The session ended with its leader, and with it everybody's use of this terminal.
    out_.close();
    program_end_.reset();
  }
  if (out_.left_at_exit > 0 || err_.left_at_exit > 0)
    return;
  exited exit;
  exit.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  exit.timed_out = timed_out_;
  exit.exit_code = timed_out_ ? 124 : exit.signal ? 128 + exit.signal : WEXITSTATUS(status_);
  exit.duration_ms = duration_ms_;
  exit.output_bytes = output_bytes_;
  exit_ = exit;
  if (auto* sink = std::exchange(sink_, nullptr))
    sink->on_exit(exit);
  wake_followers();
}

int process::resize(window_size size) {
  if (!set_window(out_.fd(), size))
    return errno;
  window_ = size;
  return 0;
}

void process::wake_followers() {
  for (auto* follower : followers_)
    follower->on_more();
}

} // namespace sandy::guest
