#pragma once

#include "http/routes/common.hpp"
#include "http/websocket.hpp"
#include "messages/sandbox_io.hpp"

#include <boost/beast/core/flat_buffer.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace sandy::http::terminal {

/// What one viewer is told first, and may do.
struct view {
  process_info process;
  std::uint64_t offset = 0; ///< of the first byte of its output that comes
  bool read_only = false;
};

/// One viewer of a terminal: moves the output of a process to a WebSocket and what comes back to its input.
/// Every viewer has a place of its own in the output, so a slow one loses what the sandbox no longer keeps
/// (and is told) and holds up nobody. Lives while `run` does.
class viewer {
public:
  /// @param output from `about.offset` on. @param pings the time between two of them: a viewer that gives no
  /// sign of life for three of these is given up. @param home outlives it.
  viewer(websocket& socket, std::shared_ptr<sandbox_io> io, std::unique_ptr<process_stream> output,
         view about, std::chrono::milliseconds pings, shard& home);

  /// Returns when the process has ended or the server stops, and the viewer knows, or the viewer is gone.
  io_task<void> run();

private:
  io_task<void> show();
  io_task<bool> send_event(process_event event);
  io_task<void> listen();
  io_task<void> type();
  io_task<void> finish_typing();
  io_task<void> ping();
  io_task<void> watch();
  io_task<void> leave();

  io_task<bool> send(bool text, std::string_view bytes);
  io_task<bool> send_json(nlohmann::json message);
  io_task<result<void>> obey(std::string_view control);
  io_task<void> take_input(std::string_view bytes);
  io_task<void> close(boost::beast::websocket::close_code code, std::string_view why);
  io_task<void> say_good_bye(boost::beast::websocket::close_reason reason);
  io_task<void> end_good_bye();
  void sign_of_life() { last_sign_ = std::chrono::steady_clock::now(); }

  websocket& socket_;
  std::shared_ptr<sandbox_io> io_;
  std::unique_ptr<process_stream> output_;
  view about_;
  std::chrono::milliseconds pings_;
  shard& home_;
  std::chrono::steady_clock::time_point last_sign_;
  std::string typed_; ///< not yet on its way to the process
  bool closing_ = false;
  bool said_ = false;    ///< the good-bye, and the viewer is gone or broken
  bool typing_ = false;  ///< some is on its way
  bool waiting_ = false; ///< for the process to take input: nothing is read from the viewer meanwhile
  io_timer arrived_;     ///< fires when there is something in `typed_`
  io_timer taken_;       ///< fires when `typed_` has room again, or something arrived at the process
};

} // namespace sandy::http::terminal
