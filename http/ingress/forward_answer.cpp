#include "http/ingress/forward.hpp"

#include "http/context.hpp"
#include "http/ingress/tunnel.hpp"
#include "http/shard.hpp"
#include "metrics/registry.hpp"

#include <algorithm>

namespace sandy::http::ingress {

// The answer on its way back.

using std::chrono::milliseconds;

namespace {

// Up to here bodies go through the connection's own buffer; for larger ones memory of their own is cheaper.
constexpr std::size_t small_bytes = 16 * 1024;

bool has_no_body(std::string_view method, unsigned status) noexcept {
  return method == "HEAD" || status == 204 || status == 304;
}

} // namespace

io_task<void> forwarding::pass_back() {
  const auto& answer = up_->answer;
  answered_ = true;
  const auto waited = std::chrono::steady_clock::now() - begun_;
  if (!where_.node)
    ex_.server().metrics.ingress().answered(answer.status, std::chrono::duration<double>(waited).count());
  if (answer.status == 101) {
    co_await switch_over();
    co_return;
  }
  const auto bodiless = has_no_body(ex_.method(), answer.status);
  up_->back.clear();
  append_answer_fields(up_->back, answer, ex_.home().date(), where_.request.below_api);
  passed_answer head{answer.status, answer.reason(), up_->back, answer.length, bodiless && !answer.length};
  ex_.begin_passed(head);
  head_waits_ = true;
  if (bodiless)
    complete_ = true;
  else if (answer.length)
    complete_ = co_await pass_sized(*answer.length);
  else if (answer.chunked)
    complete_ = co_await pass_chunks();
  else
    complete_ = co_await pass_to_end();
  if (!complete_) { // the client sees a cut, of an answer that it knows at least
    if (head_waits_)
      co_await ex_.flush();
    co_return;
  }
  const auto framed = bodiless || answer.length || answer.chunked;
  reusable_ = framed && answer.keep_alive;
  co_await ex_.end_stream();
  if (alone_)
    release();
}

io_task<io_status> forwarding::write(std::string_view bytes) {
  head_waits_ = false;
  bytes_out_ += bytes.size();
  auto sent = co_await ex_.write(bytes);
  co_return sent ? io_status::ok : io_status::closed;
}

/// Waits for more of the body to be in the connection's buffer.
io_task<io_status> forwarding::more() {
  auto status = up_->link.receive(piece_bytes);
  if (status != io_status::would_block)
    co_return status;
  status = co_await readable(milliseconds{0});
  co_return status == io_status::ok ? io_status::would_block : status;
}

io_task<bool> forwarding::pass_sized(std::uint64_t left) {
  auto& link = up_->link;
  while (left > 0) {
    auto piece = link.buffer().data().substr(0, left);
    if (piece.empty() && left > small_bytes) { // straight from one socket into the other
      if (!memory_)
        memory_ = std::make_unique_for_overwrite<char[]>(piece_bytes);
      std::size_t count = 0;
      auto status = link.receive(memory_.get(), std::min<std::uint64_t>(piece_bytes, left), count);
      if (status == io_status::would_block) {
        status = co_await readable(milliseconds{0});
        if (status == io_status::ok)
          continue;
      }
      if (status != io_status::ok)
        co_return false;
      status = co_await write({memory_.get(), count});
      if (status != io_status::ok)
        co_return false;
      left -= count;
      continue;
    }
    if (piece.empty()) {
      auto status = co_await more();
      if (status == io_status::closed || status == io_status::timed_out)
        co_return false;
      continue;
    }
    auto status = co_await write(piece);
    if (status != io_status::ok)
      co_return false;
    left -= piece.size();
    link.buffer().consume(piece.size());
  }
  co_return true;
}

io_task<bool> forwarding::pass_chunks() {
  auto& buffer = up_->link.buffer();
  std::string bytes;
  for (;;) {
    bytes.clear();
    auto used = up_->parser->take_chunks(buffer.data(), bytes);
    if (!used)
      co_return false;
    buffer.consume(*used);
    if (!bytes.empty()) {
      auto status = co_await write(bytes);
      if (status != io_status::ok)
        co_return false;
    }
    if (up_->parser->is_done())
      co_return true;
    if (*used > 0 && !buffer.empty())
      continue;
    if (head_waits_) { // events may be long in coming
      head_waits_ = false;
      auto sent = co_await ex_.flush();
      if (!sent)
        co_return false;
    }
    auto status = co_await more();
    if (status == io_status::closed || status == io_status::timed_out)
      co_return false;
  }
}

/// A body that ends with its connection.
io_task<bool> forwarding::pass_to_end() {
  auto& link = up_->link;
  for (;;) {
    if (!link.buffer().empty()) {
      auto size = link.buffer().size();
      auto status = co_await write(link.buffer().data());
      if (status != io_status::ok)
        co_return false;
      link.buffer().consume(size);
    }
    auto status = co_await more();
    if (status == io_status::closed) // a break, a sandbox that ended, a client that is gone: no end
      co_return link.ended() && !failure_;
    if (status == io_status::timed_out)
      co_return false;
  }
}

/// The application takes the client's offer to speak something else.
io_task<void> forwarding::switch_over() {
  up_->back.clear();
  append_switching_head(up_->back, up_->answer, where_.request.below_api);
  complete_ = true; // whatever becomes of it
  auto& client = ex_.take_over();
  co_await tunnel(ex_, client, up_->link, up_->back);
}

} // namespace sandy::http::ingress
