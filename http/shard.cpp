#include "http/shard.hpp"

#include "http/client/upstream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace sandy::http {

bool buffer_pool::prepare(read_buffer& buffer, std::size_t most) {
  if (buffer.end_ < buffer.capacity_)
    return true;
  if (buffer.capacity_ == 0) {
    if (free_.empty()) {
      buffer.memory_ = std::make_unique_for_overwrite<char[]>(usual_bytes);
    } else {
      buffer.memory_ = std::move(free_.back());
      free_.pop_back();
    }
    buffer.capacity_ = usual_bytes;
    return true;
  }
  auto size = buffer.size();
  if (size >= most)
    return false;
  if (buffer.begin_ > 0) {
    std::memmove(buffer.memory_.get(), buffer.memory_.get() + buffer.begin_, size);
  } else {
    auto capacity = std::min(2 * buffer.capacity_, std::max(most, usual_bytes));
    auto memory = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(memory.get(), buffer.memory_.get(), size);
    buffer.memory_ = std::move(memory);
    buffer.capacity_ = capacity;
  }
  buffer.begin_ = 0;
  buffer.end_ = size;
  return true;
}

void buffer_pool::release(read_buffer& buffer) noexcept {
  if (buffer.capacity_ == usual_bytes && free_.size() < kept) {
    if (free_.capacity() == 0)
      free_.reserve(kept);
    free_.push_back(std::move(buffer.memory_));
  }
  buffer = read_buffer{};
}

occasion::occasion(boost::asio::io_context& io)
    : waiting_(io.get_executor(), std::chrono::steady_clock::time_point::max()) {}

void occasion::come() noexcept {
  came_ = true;
  waiting_.cancel();
}

io_task<void> occasion::wait() {
  // Cancelled with its coroutine, it returns as well: then nobody asks why.
  if (!came_)
    co_await waiting_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable_t<io_executor>{}));
}

shard::shard(boost::asio::io_context& io, std::shared_ptr<edge> shared_edge, std::chrono::milliseconds tick)
    : io_context(io)
    , common(std::move(shared_edge))
    , wheel(std::make_shared<deadline_wheel>(io, tick))
    , draining(io)
    , grace_over(io)
    , upstreams(std::make_unique<client::upstream_pool>(*this)) {}

shard::~shard() = default;

std::string_view shard::date() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now); // cannot fail with this clock
  if (now.tv_sec == date_second_)
    return date_;
  date_second_ = now.tv_sec;
  std::tm utc{};
  gmtime_r(&date_second_, &utc);
  // Not strftime: day and month names must not depend on a locale.
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::array<char, 64> text{};
  auto length = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                              days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                              months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                              utc.tm_min, utc.tm_sec);
  date_.assign(text.data(), static_cast<std::size_t>(length));
  return date_;
}

void shard::append_request_id(std::string& out) {
  static constexpr char digits[] = "0123456789abcdef";
  for (int half = 0; half < 2; ++half) {
    auto bits = random_();
    for (int i = 0; i < 16; ++i, bits >>= 4)
      out.push_back(digits[bits & 0xf]);
  }
}

} // namespace sandy::http
