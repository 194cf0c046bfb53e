#include "http/stream_lease.hpp"

#include <caf/send.hpp>

#include <atomic>
#include <utility>

namespace sandy::http {

namespace {

std::atomic<std::uint64_t> next_lease{1};

} // namespace

stream_lease::stream_lease(rate_limiter_actor limiter)
    : limiter_(std::move(limiter))
    , id_(next_lease.fetch_add(1, std::memory_order_relaxed)) {}

stream_lease::~stream_lease() { caf::anon_send(limiter_, return_lease{id_}); }

} // namespace sandy::http
