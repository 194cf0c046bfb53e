#pragma once

#include "guest/protocol.hpp"

#include <cstdint>
#include <deque>
#include <string_view>

namespace sandy::guest {

/// The newest output of a process, up to a bound: bytes of both streams in the order they were read,
/// addressed by their offset since the start. What is overwritten is lost, and `start` says so.
class ring {
public:
  /// @param capacity bytes. Reserves address space only; memory is used as it is written. Check `ok`.
  explicit ring(std::size_t capacity);
  ~ring();
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  bool ok() const noexcept { return memory_ != nullptr; }
  std::size_t capacity() const noexcept { return capacity_; }
  /// Offset of the oldest byte still here.
  std::uint64_t start() const noexcept { return start_; }
  /// Offset after the newest byte.
  std::uint64_t end() const noexcept { return end_; }

  void append(stream_id stream, std::string_view bytes);

  struct piece {
    stream_id stream = stream_id::standard_output;
    std::string_view bytes; ///< valid until the next append
  };
  /// Bytes of one stream from `offset` on, at most `limit` and perhaps fewer. @param offset in [start, end).
  piece read(std::uint64_t offset, std::size_t limit) const;

private:
  /// A run of bytes of one stream; where it starts is where the one before ends.
  struct run {
    std::uint64_t end;
    stream_id stream;
  };

  void forget_before(std::uint64_t offset);

  std::size_t capacity_;
  std::size_t max_runs_;
  char* memory_ = nullptr;
  std::uint64_t start_ = 0, end_ = 0;
  std::deque<run> runs_;
};

} // namespace sandy::guest
