#pragma once

#include "http/client/call.hpp"
#include "http/exchange.hpp"
#include "http/gateway/accompanied.hpp"
#include "http/gateway/chat.hpp"
#include "http/gateway/gateway.hpp"
#include "http/gateway/sse_lines.hpp"
#include "http/timed.hpp"
#include "metrics/gateway_metrics.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace sandy::http::gateway {

/// One chat under way. Lives in the frame of `chat`.
///
/// Files: chatting (one backend after the other), chatting_answer (what one of them answers), chatting_wait
/// (what is done meanwhile).
class chatting {
public:
  chatting(exchange& ex, const model& of, chat_request request, chat_ids ids, chat_sink& sink);
  chatting(const chatting&) = delete;
  chatting& operator=(const chatting&) = delete;
  /// Counts how it ended.
  ~chatting();

  io_task<result<void>> run();

private:
  using milliseconds = std::chrono::milliseconds;
  using clock = std::chrono::steady_clock;

  /// What became of asking one backend.
  enum class attempt {
    answered, ///< all was said, also when it was a failure that had to be told
    failed,   ///< before it said anything; see failure_
    gone,     ///< the client is
  };
  /// Why backends failed so far.
  struct trouble {
    std::string text;     ///< for a stream that has begun
    caf::error error;     ///< else
    bool final = false;   ///< no other backend would do better
    bool refused = false; ///< because the request is wrong
    bool asleep = false;  ///< it may do better in a moment
  };
  /// What came to pass while a backend was waited for.
  enum class event {
    ready,    ///< it has said something
    slow,     ///< it has not
    gone,     ///< the client is
    stopping, ///< the server is
  };

  // chatting.cpp
  io_task<attempt> ask_all();
  io_task<attempt> ask(backend& where);
  io_task<attempt> send(const lease& place);
  io_task<attempt> wake_up(unsigned round);
  io_task<result<void>> give_up();
  attempt interrupted();
  client::patience patience() const;

  // chatting_answer.cpp
  io_task<attempt> take_head();
  io_task<attempt> take_refusal();
  io_task<attempt> take_stream();
  io_task<attempt> take_whole();
  io_task<attempt> end_stream();
  io_task<attempt> tell(std::string text);
  attempt failed(std::string text, caf::error error);
  attempt too_slow();
  std::string error_chunk(const std::string& text) const;
  void said_something();

  // chatting_wait.cpp
  io_task<event> something(milliseconds limit);
  io_task<void> company(const bool& over);
  /// Does `work`; meanwhile the client of a stream gets comments. None: the client is gone, or the server
  /// stops; see `interrupted`.
  template <class T>
  io_task<std::optional<T>> accompanied(io_task<T> work);
  static io_task<bool> rest(milliseconds time);
  io_task<void> client_leaves();
  bool is_client_gone();
  io_task<bool> begin();
  io_task<bool> write(std::string_view text);

  milliseconds until_comment() const;
  milliseconds left(milliseconds limit, clock::time_point since) const;

  exchange& ex_;
  const model& model_;
  chat_request request_;
  chat_ids ids_;
  chat_sink& sink_;
  const chat_limits& limits_;
  std::string body_;   ///< as it is sent
  std::string fields_; ///< of every request's head
  std::optional<client::call> call_;
  sse_lines lines_;
  std::string out_; ///< to be sent to the client
  trouble failure_;
  bool begun_ = false;                            ///< something was sent to the client
  bool died_ = false;                             ///< the connection, before it said a word
  bool gone_ = false;                             ///< the client
  std::optional<clock::time_point> closed_since_; ///< when it was first seen that it closed its side
  clock::time_point started_ = clock::now();
  clock::time_point glanced_ = started_;   ///< at the client
  clock::time_point asked_{};              ///< this backend
  clock::time_point last_sent_ = started_; ///< to the client
  metrics::chat_outcome outcome_ = metrics::chat_outcome::gone;
};

template <class T>
io_task<std::optional<T>> chatting::accompanied(io_task<T> work) {
  using boost::asio::experimental::awaitable_operators::operator||;
  bool over = false;
  auto told = noting(std::move(work), over);
  auto others = company(over);
  auto first = co_await (std::move(told) || std::move(others));
  if (first.index() == 1)
    co_return std::nullopt;
  co_return std::move(std::get<0>(first));
}

} // namespace sandy::http::gateway
