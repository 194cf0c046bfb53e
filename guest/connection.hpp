#pragma once

#include "guest/event_loop.hpp"
#include "guest/protocol.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sandy::guest {

class connection;

/// What one connection is for. Made by its first frame; destroyed when the connection closes, which cancels
/// it.
class operation {
public:
  explicit operation(connection& link)
      : link_(link) {}
  virtual ~operation() = default;
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  /// A later frame of the connection. One that has no business here breaks the protocol.
  virtual void on_frame(frame_type type, std::string_view payload);
  /// Output drained: there is room again.
  virtual void on_writable() {}
  /// The turn asked for with connection::again.
  virtual void on_turn() {}

protected:
  connection& link_;
};

/// Makes the operation a first frame asks for. @return nothing when the frame was answered, or refused, at
/// once.
class operation_factory {
public:
  virtual std::unique_ptr<operation> start(connection& link, frame_type type, std::string_view payload) = 0;

protected:
  ~operation_factory() = default;
};

/// One client. Reads frames, hands them to its operation and sends what that answers; never blocks. What
/// waits to be sent is bounded by operations asking `has_room` first.
class connection final : public event_source {
public:
  connection(event_loop& loop, unique_fd fd, operation_factory& factory);

  /// True once the connection is over; its owner removes it between two rounds of the loop.
  bool closed() const noexcept { return closed_; }

  /// Sends a message, at once as far as the socket takes it.
  template <class T>
  void send(const T& message) {
    append_frame(out_, message);
    flush();
  }
  void send(frame_type type, std::string_view bytes = {});
  /// Like `send`, but the bytes leave with the next `flush`: for many small answers in a row.
  template <class T>
  void queue(const T& message) {
    append_frame(out_, message);
  }
  /// Sends a whole frame without copying what the socket takes at once.
  void send_frame(std::string_view frame);
  void flush();

  /// Answers with a failure and ends the connection.
  void fail(failure_kind kind, int error = 0, std::string_view subject = {});
  /// Answers `done` and ends the connection.
  void succeed();
  /// Ends the connection when everything is sent.
  void finish();
  /// True while an operation should go on producing.
  bool has_room() const noexcept { return out_.size() - sent_ < high_water; }
  /// Takes no further frames (true), or goes on (false): the operation cannot use more input now.
  void hold(bool held);
  /// Asks for one turn of the operation after everybody else had theirs.
  void again() {
    if (!std::exchange(turn_asked_, true))
      registration_.again();
  }

  /// The descriptor that came with the frames so far, the last one; empty when there was none.
  unique_fd take_descriptor() noexcept { return std::move(descriptor_); }

  event_loop& loop() noexcept { return loop_; }

private:
  static constexpr std::size_t high_water = 128 * 1024;

  void on_events(std::uint32_t events) override;
  void receive();
  /// What recv(2) returns, with a descriptor kept that came along.
  ssize_t read_socket(char* bytes);
  void take_frames(std::string_view fresh);
  void accept_frame(const raw_frame& frame);
  void update_interest();
  void close();

  event_loop& loop_;
  operation_factory& factory_;
  unique_fd fd_;
  unique_fd descriptor_; ///< passed to us, not taken yet
  registration registration_;
  std::unique_ptr<operation> operation_;
  std::string in_; ///< the start of a frame, or frames that are held back
  std::string out_;
  std::size_t sent_ = 0; ///< bytes of out_ that are gone
  bool started_ = false, held_ = false, taking_ = false, finishing_ = false, closed_ = false,
       turn_asked_ = false;
};

/// Space for one piece of input or output, with room before it for the headers of a frame. One for the whole
/// program: it is never used across two events.
struct scratch_space {
  static constexpr std::size_t margin = 16;
  char space[margin + piece_bytes];
  char* bytes() noexcept { return space + margin; }
};
scratch_space& scratch() noexcept;

} // namespace sandy::guest
