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
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sandy::http::gateway {

/// One chat under way. Lives in the frame of `chat`.
///
/// Files: chatting (one backend after the other), chatting_hedge (two at a time), chatting_answer (what one
/// of them answers), chatting_wait (what is done meanwhile).
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
  enum class outcome {
    trying,   ///< nothing yet; for ever when it was cancelled
    speaks,   ///< it has begun to answer; nothing of that was passed on yet
    answered, ///< all was said, also when it was a failure that had to be told
    failed,   ///< before it said anything; see why
    gone,     ///< the client is
  };
  /// Why backends failed so far.
  struct trouble {
    std::string text;     ///< for a stream that has begun
    caf::error error;     ///< else
    bool final = false;   ///< no other backend would do better
    bool refused = false; ///< because the request is wrong
    bool asleep = false;  ///< it may do better in a moment
    bool full = false;    ///< it has no place
    bool sound = false;   ///< it failed for reasons that it told, or that are ours: it may go on
  };
  /// One backend that is asked. Destroying it closes the connection, or keeps it for the next chat, and then
  /// gives the place back.
  struct attempt {
    explicit attempt(backend* to)
        : where(to) {}
    bool lost() const noexcept { return how == outcome::failed && !why.final; }

    backend* where;
    std::unique_ptr<lease> place;
    std::optional<client::call> call;
    clock::time_point asked = clock::now();
    sse_lines lines;
    std::string said; ///< what came and was not passed on: of a stream its lines, else the answer so far
    bool all = false; ///< nothing follows
    trouble why;
    bool died = false; ///< the connection, before it said a word
    outcome how = outcome::trying;
  };
  using backends = std::vector<backend*>;
  /// What came to pass while a backend was waited for.
  enum class event {
    ready,    ///< it has said something
    slow,     ///< it has not
    gone,     ///< the client is
    stopping, ///< the server is
  };

  // chatting.cpp
  io_task<outcome> ask_all();
  backends one_round(std::size_t turn) const;
  io_task<outcome> ask_next(backends& others);
  io_task<outcome> open(attempt& one);
  io_task<outcome> send(attempt& one);
  void settle(attempt& one);
  io_task<outcome> wake_up(unsigned round);
  io_task<result<void>> give_up();
  outcome interrupted(trouble& why);
  client::patience patience() const;

  // chatting_hedge.cpp
  bool may_hedge(const backends& others) const;
  io_task<attempt*> ask_two(attempt& first, attempt& second, backends& others);
  io_task<attempt*> race(attempt& first, attempt& second, backends& others);
  io_task<void> lead(attempt& first, const attempt& second);
  io_task<void> follow(attempt& second, const attempt& first, backends& others);
  io_task<void> take_spare_place(attempt& second, const attempt& first, backends& others);
  io_task<void> open_in_race(attempt& one);

  // chatting_answer.cpp
  io_task<outcome> take_head(attempt& one);
  io_task<outcome> take_refusal(attempt& one);
  result<bool> hear(attempt& one);
  io_task<outcome> first_word(attempt& one);
  io_task<outcome> take_stream(attempt& one);
  io_task<outcome> take_whole(attempt& one);
  io_task<outcome> end_stream(attempt& one);
  io_task<bool> pass_on(attempt& one);
  io_task<outcome> break_off(attempt& one, std::string text);
  io_task<outcome> tell(std::string text);
  static outcome failed(trouble& why, std::string text, caf::error error);
  static outcome too_slow(attempt& one);
  std::string error_chunk(const std::string& text) const;

  // chatting_wait.cpp
  io_task<event> something(attempt& one, milliseconds limit);
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
  std::string body_;                              ///< as it is sent
  std::string fields_;                            ///< of every request's head
  std::string left_over_;                         ///< the end of a line that a backend began and broke off
  trouble failure_;                               ///< of the last backend
  bool asked_ = false;                            ///< at least one
  bool hedged_ = false;                           ///< two were asked at a time
  bool racing_ = false;                           ///< they are, and nothing may be passed on
  bool begun_ = false;                            ///< something was sent to the client
  bool spoken_ = false;                           ///< an event of a backend among it
  bool gone_ = false;                             ///< the client
  std::optional<clock::time_point> closed_since_; ///< when it was first seen that it closed its side
  clock::time_point started_ = clock::now();
  clock::time_point glanced_ = started_;   ///< at the client
  clock::time_point last_sent_ = started_; ///< to the client
  metrics::chat_outcome outcome_ = metrics::chat_outcome::gone;
};

template <class T>
io_task<std::optional<T>> chatting::accompanied(io_task<T> work) {
  using boost::asio::experimental::awaitable_operators::operator||;
  if (racing_) { // and the race is accompanied
    auto done = co_await std::move(work);
    co_return std::optional<T>{std::move(done)};
  }
  bool over = false;
  auto told = noting(std::move(work), over);
  auto others = company(over);
  auto first = co_await (std::move(told) || std::move(others));
  if (first.index() == 1)
    co_return std::nullopt;
  co_return std::move(std::get<0>(first));
}

} // namespace sandy::http::gateway
