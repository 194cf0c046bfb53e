#pragma once

#include "guest/event_loop.hpp"
#include "guest/protocol.hpp"
#include "guest/ring.hpp"
#include "guest/terminal.hpp"

#include <sys/types.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sandy::guest {

/// Takes the output of a foreground process as it comes.
class output_sink {
public:
  virtual bool has_room() const = 0;
  /// @param frame a whole chunk frame.
  virtual void on_output(std::string_view frame) = 0;
  virtual void on_exit(const exited& exit) = 0;

protected:
  ~output_sink() = default;
};

/// Follows the kept output of a background process.
class output_follower {
public:
  /// There is more output, or the process has ended.
  virtual void on_more() = 0;

protected:
  ~output_follower() = default;
};

/// Somebody with bytes for a process's standard input.
class input_source {
public:
  virtual std::string_view pending() const = 0;
  virtual void on_taken(std::size_t bytes) = 0;
  /// Nobody reads the input any more.
  virtual void on_refused() = 0;

protected:
  ~input_source() = default;
};

/// The writing end of a process's standard input. Sources are served in the order they came; bytes of two
/// never mix.
class input_pipe final : public event_source {
public:
  explicit input_pipe(event_loop& loop)
      : registration_(loop, *this) {}

  void open(unique_fd fd) { fd_ = std::move(fd); }
  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  /// Closes the pipe: the process reads the end of its input. Whoever still waits is refused.
  void close();
  /// Puts `source` in the queue, where it stays until `leave`. It may be refused before this returns.
  void enter(input_source& source);
  void leave(input_source& source);
  /// Tells that the source at the front has something pending again.
  void pump();

private:
  void on_events(std::uint32_t events) override;

  unique_fd fd_;
  registration registration_;
  std::deque<input_source*> queue_;
};

class process;

/// The reading end of one of a process's output streams.
class output_pipe final : public event_source {
public:
  output_pipe(event_loop& loop, process& owner, stream_id stream)
      : registration_(loop, *this)
      , owner_(owner)
      , stream_(stream) {}

  void open(unique_fd fd) { fd_ = std::move(fd); }
  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  int fd() const noexcept { return fd_.get(); }
  void close();
  /// Whether to look for output at all.
  void want(bool wanted);
  /// Reads one piece, at most `limit` bytes. @return bytes read; 0: nothing there, or the end (then it is
  /// closed).
  std::size_t read(std::size_t limit);
  /// Bytes that are in the pipe now.
  std::size_t waiting() const;

  std::size_t left_at_exit = 0; ///< bytes to deliver before the exit may be told

private:
  void on_events(std::uint32_t events) override;

  unique_fd fd_;
  registration registration_;
  process& owner_;
  stream_id stream_;
};

/// One process that somebody asked for, from its start until nobody can ask for it any more. Its exit is told
/// when the process itself has ended and what was in its pipes then is delivered; output its children write
/// later is read and dropped.
class process final : public timer_target {
public:
  /// @param last_sign_ms set to the time whenever the process is seen to do something.
  process(event_loop& loop, std::uint32_t id, std::string command, std::uint64_t& last_sign_ms);

  std::uint32_t id() const noexcept { return id_; }
  pid_t pid() const noexcept { return pid_; }
  bool background() const noexcept { return ring_ != nullptr; }
  /// The process was not reaped yet: its pid is its own.
  bool alive() const noexcept { return alive_; }
  /// Its exit was told.
  bool finished() const noexcept { return exit_.has_value(); }
  /// Nothing more can happen: its record matters only to those who ask for it.
  bool idle() const noexcept { return finished() && !out_.is_open() && !err_.is_open() && !sink_; }
  std::uint64_t output_bytes() const noexcept { return output_bytes_; }
  const std::optional<exited>& exit() const noexcept { return exit_; }
  const ring* kept() const noexcept { return ring_.get(); }
  input_pipe& input() noexcept { return input_; }
  process_entry describe() const;

  /// Call before `begin`, for a background process.
  void keep_output(std::unique_ptr<ring> kept) { ring_ = std::move(kept); }
  /// Call before `begin`, for a process on a terminal, whose master is its input and `out`. @param
  /// program_end held until the process has ended: without it the terminal would be over as soon as the
  /// process closes its own for a moment.
  void keep_terminal(unique_fd program_end, window_size size) {
    program_end_ = std::move(program_end);
    window_ = size;
  }
  /// Of a process on a terminal, also when it has ended.
  const std::optional<window_size>& window() const noexcept { return window_; }
  /// @return errno, 0 for success. Only while the process is alive, and has a terminal.
  int resize(window_size size);
  void set_pid(pid_t pid) { pid_ = pid; }
  /// The process runs, with its pid set. @param out, err non-blocking. @param timeout_ms 0: none. @param sink
  /// null for a background process.
  void begin(unique_fd out, unique_fd err, std::uint64_t timeout_ms, output_sink* sink);
  /// The sink has room again.
  void resume();
  /// The sink goes away. Output is dropped from here on.
  /// @param kill end the process tree too.
  void abandon(bool kill);
  void kill_tree(int signal);
  void follow(output_follower& follower) { followers_.push_back(&follower); }
  bool followed() const noexcept { return !followers_.empty(); }
  void unfollow(output_follower& follower) { std::erase(followers_, &follower); }

  /// The kernel says that the process ended. @param status as from waitpid.
  void on_reaped(int status);

private:
  friend class output_pipe;

  void on_timer() override;
  void on_output(stream_id stream, char* bytes, std::size_t count);
  void on_pipe_event(output_pipe& pipe);
  bool may_read() const { return !sink_ || sink_->has_room(); }
  void update_pipes();
  void try_finish();
  void wake_followers();

  std::uint32_t id_;
  std::string command_;
  std::uint64_t& last_sign_ms_;
  pid_t pid_ = -1;
  bool alive_ = false, timed_out_ = false;
  int status_ = 0;
  std::int64_t started_at_ms_ = 0;
  std::uint64_t started_ms_ = 0, duration_ms_ = 0, output_bytes_ = 0;
  timer timeout_;
  input_pipe input_;
  unique_fd program_end_; ///< before out_: the master is closed first, so that nothing waits for a reader
  std::optional<window_size> window_;
  output_pipe out_, err_;
  std::unique_ptr<ring> ring_;
  output_sink* sink_ = nullptr;
  std::vector<output_follower*> followers_;
  std::optional<exited> exit_;
};

} // namespace sandy::guest
