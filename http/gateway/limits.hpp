#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sandy::http::gateway {

/// What a chat may take.
struct chat_limits {
  std::uint64_t body_bytes = 10'485'760;            ///< of a request
  std::uint64_t answer_bytes = 16ull * 1024 * 1024; ///< of an answer that is no stream
  std::chrono::milliseconds connect{10'000};        ///< until a backend takes the connection
  std::chrono::milliseconds first_token{300'000};   ///< until it says something
  std::chrono::milliseconds between{300'000};       ///< until it says more
  std::chrono::milliseconds total{600'000};         ///< from the request to the last byte of the answer
  std::chrono::milliseconds silence{1'500};         ///< after which a stream gets a comment
  std::chrono::milliseconds waking{5'000};    ///< a backend that refuses this soon may only have to wake up
  std::chrono::milliseconds wake_wait{2'000}; ///< before it is asked again; doubles ...
  std::chrono::milliseconds longest_wake_wait{15'000}; ///< ... up to here
  unsigned attempts = 6;                               ///< of which so many are made
};

/// What all artifacts together may take. The oldest give way.
struct artifact_limits {
  std::size_t count = 10'000;
  std::uint64_t bytes = 256ull * 1024 * 1024;
  std::uint64_t each_bytes = 32ull * 1024 * 1024;
  std::chrono::seconds ttl{3600};
};

} // namespace sandy::http::gateway
