#include "guest/ring.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace sandy::guest {

// A program that writes single bytes to both streams in turn makes one run per byte. With a run per 64 bytes
// the notes take at most a quarter of the ring's size on top; such a program loses old output earlier, which
// readers are told as always.
ring::ring(std::size_t capacity)
    : capacity_(capacity)
    , max_runs_(capacity / 64 + 16) {
  void* memory =
      ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED)
    memory_ = static_cast<char*>(memory);
}

ring::~ring() {
  if (memory_)
    ::munmap(memory_, capacity_);
}

void ring::forget_before(std::uint64_t offset) {
  start_ = std::max(start_, offset);
  while (!runs_.empty() && runs_.front().end <= start_)
    runs_.pop_front();
}

void ring::append(stream_id stream, std::string_view bytes) {
  if (bytes.empty())
    return;
  end_ += bytes.size();
  if (runs_.empty() || runs_.back().stream != stream)
    runs_.push_back({end_, stream});
  else
    runs_.back().end = end_;
  if (bytes.size() > capacity_)
    bytes.remove_prefix(bytes.size() - capacity_);
  auto place = static_cast<std::size_t>((end_ - bytes.size()) % capacity_);
  auto first = std::min(bytes.size(), capacity_ - place);
  std::memcpy(memory_ + place, bytes.data(), first);
  std::memcpy(memory_, bytes.data() + first, bytes.size() - first);
  if (end_ > capacity_)
    forget_before(end_ - capacity_);
  if (runs_.size() > max_runs_)
    forget_before(runs_.front().end);
}

ring::piece ring::read(std::uint64_t offset, std::size_t limit) const {
  auto owner = std::upper_bound(runs_.begin(), runs_.end(), offset,
                                [](std::uint64_t at, const run& candidate) { return at < candidate.end; });
  auto place = static_cast<std::size_t>(offset % capacity_);
  auto size = std::min<std::uint64_t>({owner->end - offset, limit, capacity_ - place});
  return {owner->stream, {memory_ + place, static_cast<std::size_t>(size)}};
}

} // namespace sandy::guest
