#pragma once

#include "messages/limiter.hpp"

#include <cstdint>

namespace sandy::http {

/// A place among a tenant's streams, from before it is asked for until the request ends, however it ends. An
/// asker that was cancelled does not know whether it got the place: giving back what one does not hold does
/// no harm.
class stream_lease {
public:
  /// @param limiter of the tenant whose place it is.
  explicit stream_lease(rate_limiter_actor limiter);
  stream_lease(const stream_lease&) = delete;
  stream_lease& operator=(const stream_lease&) = delete;
  ~stream_lease();

  std::uint64_t id() const noexcept { return id_; }

private:
  rate_limiter_actor limiter_;
  std::uint64_t id_;
};

} // namespace sandy::http
