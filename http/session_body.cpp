#include "http/session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>

namespace sandy::http {

namespace {

// What read_some hands out at most at a time.
constexpr std::size_t piece_bytes = 64 * 1024;

// The longest line of a chunked body, or all of its trailers.
constexpr std::size_t chunk_line_bytes = 16 * 1024;

// An announced length is only a claim: memory is set aside as bytes come.
constexpr std::uint64_t trusted_bytes = 1024 * 1024;

// Reading the rest of a body that no handler wanted is cheaper than a new connection, up to here.
constexpr std::uint64_t discarded_bytes = 256 * 1024;

} // namespace

void session::begin_body() {
  body_left_ = head_.content_length.value_or(0);
  body_ = head_.chunked ? body_state::chunked : body_left_ > 0 ? body_state::sized : body_state::done;
  continue_wanted_ = body_ != body_state::done && head_.version >= 11 && !head_.field("Expect").empty();
}

/// Until the request is answered. From outside there are the limits of tenants and of connections.
bool session::hold_body(std::uint64_t bytes) noexcept {
  if (door_ && !door_->hold_body(bytes))
    return false;
  body_held_ += bytes;
  return true;
}

void session::release_body() noexcept {
  if (door_)
    door_->release_body(body_held_);
  body_held_ = 0;
}

std::optional<std::uint64_t> session::content_length() const noexcept {
  if (head_.chunked)
    return std::nullopt;
  return head_.content_length.value_or(0);
}

caf::error session::body_failure(io_status status) {
  body_ = body_state::failed;
  if (status == io_status::timed_out)
    return fail(errc::client_timeout, "The request body did not arrive in time");
  return fail(errc::cancelled, "The client closed the connection within its request body");
}

io_task<result<std::string>> session::read_some() {
  if (continue_wanted_ && body_ != body_state::failed) {
    continue_wanted_ = false;
    auto sent = co_await connection_.send({"HTTP/1.1 100 Continue\r\n\r\n"}, limits().write_timeout);
    if (sent != io_status::ok)
      co_return body_failure(sent);
  }
  if (body_ == body_state::failed)
    co_return fail(errc::cancelled, "The request body could not be read");
  if (body_ == body_state::done)
    co_return std::string{};
  auto piece = co_await (body_ == body_state::sized ? read_sized() : read_chunked());
  co_return piece;
}

io_task<result<std::string>> session::read_sized() {
  auto& buffer = connection_.buffer();
  std::string piece;
  while (buffer.empty()) {
    // Straight into the piece: large bodies are not copied on their way.
    piece.resize(std::min<std::uint64_t>(body_left_, piece_bytes));
    std::size_t count = 0;
    auto status = connection_.receive(piece.data(), piece.size(), count);
    if (status == io_status::ok) {
      piece.resize(count);
      break;
    }
    if (status == io_status::would_block)
      status = co_await connection_.wait_readable(limits().body_timeout);
    if (status != io_status::ok)
      co_return body_failure(status);
  }
  if (!buffer.empty()) {
    piece.assign(buffer.data().substr(0, std::min<std::uint64_t>(body_left_, piece_bytes)));
    buffer.consume(piece.size());
  }
  body_left_ -= piece.size();
  if (body_left_ == 0)
    body_ = body_state::done;
  co_return piece;
}

io_task<result<std::string>> session::read_chunked() {
  auto& buffer = connection_.buffer();
  std::string piece;
  while (piece.empty()) {
    boost::beast::error_code ec;
    auto used = parser_->put_chunks(buffer.data(), piece, ec);
    buffer.consume(used);
    if (parser_->is_done()) {
      body_ = body_state::done;
      break;
    }
    auto more = !ec || ec == beast_http::error::need_more;
    if (!more || buffer.size() >= chunk_line_bytes) {
      body_ = body_state::failed;
      co_return fail(errc::invalid_argument, "The chunked request body is malformed");
    }
    if (!piece.empty())
      break;
    auto status = connection_.receive(piece_bytes);
    if (status == io_status::would_block)
      status = co_await connection_.wait_readable(limits().body_timeout);
    if (status != io_status::ok)
      co_return body_failure(status);
  }
  co_return piece;
}

io_task<result<std::string>> session::read_body(std::uint64_t limit) {
  auto too_large = [&] {
    return fail(errc::payload_too_large,
                "The request body is larger than " + std::to_string(limit) + " bytes");
  };
  if (body_ == body_state::sized && body_left_ > limit)
    co_return too_large();
  std::string body;
  for (;;) {
    auto piece = co_await read_some();
    if (!piece || piece->empty())
      co_return piece ? result<std::string>{std::move(body)} : std::move(piece);
    if (body.size() + piece->size() > limit)
      co_return too_large();
    if (!hold_body(piece->size()))
      co_return fail_for_now(errc::capacity_exhausted, "This sandbox sends too many large requests at once",
                             1);
    if (body.empty()) {
      body = std::move(*piece);
      if (body_ == body_state::sized)
        body.reserve(body.size() + std::min(body_left_, trusted_bytes));
    } else {
      body.append(*piece);
    }
    if (body_ == body_state::done)
      co_return body;
  }
}

bool session::may_keep_unread_body() const noexcept {
  switch (body_) {
  case body_state::done:
    return true;
  case body_state::failed:
    return false;
  // A client that was not told to continue may or may not send its body: what comes next could be either.
  case body_state::sized:
    return !continue_wanted_ && body_left_ <= discarded_bytes;
  case body_state::chunked: // nobody knows how much is to come, and the answer must say now whether the
                            // connection goes on
    return false;
  }
  return false;
}

io_task<bool> session::discard_body() {
  for (std::uint64_t discarded = 0; body_ != body_state::done;) {
    if (!may_keep_unread_body() || discarded > discarded_bytes)
      co_return false;
    auto piece = co_await read_some();
    if (!piece)
      co_return false;
    discarded += piece->size();
  }
  co_return true;
}

} // namespace sandy::http
