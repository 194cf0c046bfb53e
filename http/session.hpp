#pragma once

#include "coro/intrusive_list.hpp"
#include "http/answer_head.hpp"
#include "http/connection.hpp"
#include "http/exchange.hpp"
#include "http/ingress/host_name.hpp"
#include "http/inside_listener.hpp"
#include "http/request_head.hpp"
#include "http/target.hpp"
#include "messages/limiter.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http {

/// One client's connection and, one after the other, its requests. Lives on its shard's thread. What a
/// request needs is reused by the next: a warm session answers without touching the allocator.
class session final : public exchange, public coro::list_hook {
public:
  /// Starts the session's coroutine, which owns it. Called on the shard's thread.
  /// @param refuse answer "too many connections" and close. @param door through which it came from inside a
  /// sandbox. @param arrival_port the exposed port of sandboxes that it came to; 0: it came to the API.
  /// @param from_node it came to the listener for other nodes, and has to show first that it is one.
  static void start(connection::socket socket, std::shared_ptr<shard> home, bool refuse,
                    std::shared_ptr<inside_listener> door = nullptr, std::uint16_t arrival_port = 0,
                    bool from_node = false);
  ~session() override;

  /// Closes after the request that runs now; at once when there is none.
  void drain() noexcept;
  /// Ends everything now: the handler is cancelled, the connection closed.
  void kill();
  /// Whether a handler has the connection, and its ways to end it.
  bool taken() const noexcept { return answered_ == answer_state::taken; }
  /// The same, and the kernel forgets the connection at once, with what was not sent yet.
  void cut();

  std::string_view method() const noexcept override { return head_.method(); }
  std::string_view path() const noexcept override { return target_.path(); }
  std::string_view param(std::string_view name) const override;
  std::optional<std::string> query(std::string_view name) const override { return target_.query(name); }
  std::string_view header(std::string_view name) const override { return head_.field(name); }
  const principal& caller() const noexcept override { return caller_; }
  const principal& inside() const noexcept override;
  std::string_view request_id() const noexcept override { return request_id_; }

  io_task<result<std::string>> read_body(std::uint64_t limit) override;
  io_task<result<std::string>> read_some() override;
  std::optional<std::uint64_t> content_length() const noexcept override;

  io_task<void> reply(unsigned status, const nlohmann::json& body, header_list extra) override;
  io_task<void> reply_bytes(unsigned status, std::string_view content_type, std::string body,
                            header_list extra) override;
  io_task<void> reply_error(const caf::error& err) override;
  io_task<result<void>> begin_stream(unsigned status, std::string_view content_type,
                                     std::optional<std::uint64_t> length, header_list extra) override;
  io_task<result<void>> write(std::string_view bytes) override;
  io_task<void> end_stream() override;

  io_task<void> hang_up() override;
  bool has_hung_up() noexcept override { return connection_.has_peer_closed(); }
  connection& take_over() override;
  void begin_passed(const passed_answer& head) override;
  io_task<result<void>> flush() override;
  context& server() noexcept override { return shard_->common->server; }
  const request_head& head() const noexcept override { return head_; }
  request_origin origin() override;
  const ingress::addressed_sandbox* addressed() const noexcept override {
    return addressed_ ? &*addressed_ : nullptr;
  }
  shard& home() override { return *shard_; }
  bool from_node() const noexcept override { return from_node_; }
  admission budget() const noexcept override { return budget_; }

private:
  session(connection::socket socket, std::shared_ptr<shard> home, std::shared_ptr<inside_listener> door,
          std::uint16_t arrival_port, bool from_node);

  // session.cpp: one request after the other
  io_task<void> run();
  io_task<void> refuse();
  io_task<bool> greet_node(); // session_node.cpp
  io_task<void> answer();
  io_task<void> dispatch();
  io_task<bool> finish();
  bool admit(const route& matched);
  io_task<void> handle_within_budget();
  io_task<void> handle();
  io_task<void> dispatch_passed_on();
  io_task<void> dispatch_routed();
  io_task<void> reply_preflight();
  void report() const;

  // session_head.cpp
  io_task<bool> read_head();
  bool parse_head(bool& need_more);
  void prepare_answer();

  // session_body.cpp
  enum class body_state : std::uint8_t { done, sized, chunked, failed };
  void begin_body();
  bool hold_body(std::uint64_t bytes) noexcept;
  void release_body() noexcept;
  io_task<result<std::string>> read_sized();
  io_task<result<std::string>> read_chunked();
  caf::error body_failure(io_status status);
  bool may_keep_unread_body() const noexcept;
  io_task<bool> discard_body();

  // session_answer.cpp
  enum class answer_state : std::uint8_t {
    none,
    streaming,
    complete,
    taken,  ///< the handler has the connection
    cut,    ///< the handler left its stream unfinished
    broken, ///< the client is gone or stalled
  };
  answer_head common_head(unsigned status, std::string_view content_type, const header_list& extra);
  std::string_view allowed_origin() const noexcept;
  void start_answer(unsigned status);
  io_task<io_status> send_out(std::string_view body = {});
  io_task<void> send_whole(unsigned status, std::string_view content_type, std::string body,
                           header_list extra);

  const edge_limits& limits() const noexcept { return shard_->common->server.limits; }
  bool head_only() const noexcept { return head_.method() == "HEAD"; }

  std::shared_ptr<shard> shard_;
  std::shared_ptr<inside_listener> door_; ///< nullptr: from outside
  std::uint16_t arrival_port_;
  bool from_node_;
  connection connection_;
  boost::asio::cancellation_signal cancel_;

  // the request
  request_head head_;
  std::optional<request_parser> parser_;
  request_target target_;
  std::optional<ingress::addressed_sandbox> addressed_; ///< whose host name the request bears
  router::match match_;
  principal caller_;
  std::string passed_host_;  ///< the name that another node was asked for
  principal passed_inside_;  ///< of a request that another node passed on
  std::string peer_address_; ///< of the connection, once somebody asked
  std::string request_id_;
  std::string correlation_id_;
  std::chrono::steady_clock::time_point started_;
  std::size_t head_bytes_ = 0; ///< of the head, consumed so far

  // its body
  body_state body_ = body_state::done;
  std::uint64_t body_left_ = 0;  ///< sized
  std::uint64_t body_held_ = 0;  ///< bytes in memory, of what its door allows
  bool continue_wanted_ = false; ///< the client waits for "100 Continue" before it sends the body

  // its answer
  answer_state answered_ = answer_state::none;
  unsigned status_ = 0;
  admission budget_; ///< no limit: nothing was decided, or there is none
  framing framing_ = framing::length;
  std::uint64_t stream_left_ = 0;
  std::string out_; ///< what waits to be sent with the next write

  bool keep_alive_ = true;
  bool idle_ = true;    ///< between requests
  bool served_ = false; ///< the last thing that happened is an answer
  bool killed_ = false;
};

} // namespace sandy::http
