#pragma once

#include "messages/limiter.hpp"
#include "messages/sandbox_io.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http {

class connection;
struct request_head;
struct context;
struct shard;

namespace ingress {
struct addressed_sandbox;
}

/// The head of an answer that an application in a sandbox gave, as it is passed on. Views: lives as long as
/// the call.
struct passed_answer {
  unsigned status = 200;
  std::string_view reason;
  std::string_view fields;             ///< whole lines; none about the connection or about the body's length
  std::optional<std::uint64_t> length; ///< of the body; none: nobody knows
  bool bodiless = false;               ///< no body follows, and nothing is said of its length
};

/// Where a request came from.
struct request_origin {
  std::string_view address;       ///< the peer's, in text
  std::uint16_t arrival_port = 0; ///< the exposed port of sandboxes that it came to; 0: it came to the API
};

using header_list = std::vector<std::pair<std::string, std::string>>;

/// One request and its answer, as a route handler sees them. A handler answers exactly once: with `reply`,
/// with `reply_error`, with `begin_stream` ... `end_stream`, or by `take_over`. After a failed write the
/// client is gone: return. Lives on its session's stack; used from the session's coroutine only.
class exchange {
public:
  virtual ~exchange() = default;

  /// Upper-case method, e.g. "GET".
  virtual std::string_view method() const noexcept = 0;
  /// Decoded path without query, e.g. "/api/sandboxes".
  virtual std::string_view path() const noexcept = 0;
  /// Decoded text that stands for `{name}` in the matched route; empty if there is none.
  virtual std::string_view param(std::string_view name) const = 0;
  /// Decoded value of the first query parameter of that name.
  virtual std::optional<std::string> query(std::string_view name) const = 0;
  /// Value of a request header, names without regard to case; empty when absent.
  virtual std::string_view header(std::string_view name) const = 0;
  /// Whose key or token came with the request.
  virtual const principal& caller() const noexcept = 0;
  /// The sandbox from inside of which the request came, and its tenant, whoever `caller` is; both empty for a
  /// request from outside.
  virtual const principal& inside() const noexcept = 0;
  /// The client's X-Request-Id, or one of ours.
  virtual std::string_view request_id() const noexcept = 0;

  /// The whole body. Fails with payload_too_large beyond `limit` (bytes), client_timeout, cancelled.
  virtual io_task<result<std::string>> read_body(std::uint64_t limit) = 0;
  /// The next piece of the body, empty at its end; for bodies of any size. Sends "100 Continue" when it was
  /// asked for.
  virtual io_task<result<std::string>> read_some() = 0;
  /// Length announced by the client; none when chunked.
  virtual std::optional<std::uint64_t> content_length() const noexcept = 0;

  /// Answers with a JSON object and ends the exchange.
  virtual io_task<void> reply(unsigned status, const nlohmann::json& body, header_list extra = {}) = 0;
  /// Answers with any bytes and ends the exchange.
  virtual io_task<void> reply_bytes(unsigned status, std::string_view content_type, std::string body,
                                    header_list extra = {}) = 0;
  /// Answers {"detail": ..., "error": {"code", "message"}} with the status of the error's code; see
  /// http/errors.hpp.
  virtual io_task<void> reply_error(const caf::error& err) = 0;

  /// Starts an answer of unknown or large size. @param length known: Content-Length, else chunked.
  virtual io_task<result<void>> begin_stream(unsigned status, std::string_view content_type,
                                             std::optional<std::uint64_t> length, header_list extra = {}) = 0;
  /// Sends bytes now; returns when the kernel took them, so a slow reader slows the producer. Fails with
  /// cancelled when the client is gone or takes nothing for the write timeout; for HEAD at once, because the
  /// head is the whole answer.
  virtual io_task<result<void>> write(std::string_view bytes) = 0;
  /// Ends a stream properly. A stream that is not ended closes the connection, so the client sees that it was
  /// cut.
  virtual io_task<void> end_stream() = 0;

  /// Begins to pass on an answer; it goes on as one of `begin_stream`. Nothing of ours is added to it.
  /// Nothing is sent before the first `write`, `flush` or `end_stream`.
  virtual void begin_passed(const passed_answer& head) = 0;
  /// Sends what waits to be sent: the head of an answer that is slow to follow. Fails as `write`.
  virtual io_task<result<void>> flush() = 0;

  /// Returns when the client has closed its side (never, while it keeps the connection open). For racing
  /// against an answer.
  virtual io_task<void> hang_up() = 0;
  /// Whether it has, now. Costs a system call: for whoever waits for something else and looks now and then.
  virtual bool has_hung_up() noexcept = 0;

  /// Instead of an answer: from here on the connection is the handler's, for WebSockets and tunnels. Nothing
  /// of ours is sent on it, so the handler writes even the head of its 101; what the client sent behind its
  /// request waits in `connection::buffer`, first of all what was not read of the body. Deadlines are the
  /// handler's. The connection closes when the handler returns (`connection::abort` tells a cut), and the
  /// handler is cancelled, its connection reset, when the server stops waiting for it or the sandbox from
  /// inside of which it came ends. Logs and metrics tell status 101.
  virtual connection& take_over() = 0;

  virtual context& server() noexcept = 0;

  /// The request's head as it came.
  virtual const request_head& head() const noexcept = 0;
  virtual request_origin origin() = 0;
  /// Whether another node of the cluster passed the request on: it is served here or nowhere.
  virtual bool from_node() const noexcept = 0;
  /// What the client is told of its tenant's budget; no limit: nothing.
  virtual admission budget() const noexcept = 0;
  /// The sandbox whose host name the request bears; nullptr: it is for the API.
  virtual const ingress::addressed_sandbox* addressed() const noexcept = 0;
  /// What belongs to the thread that the exchange runs on.
  virtual shard& home() = 0;
};

/// Handles one request. A thrown exception is a bug: it is logged and answered with `internal`.
using handler = io_task<void> (*)(exchange& ex);

} // namespace sandy::http
