#pragma once

#include <string_view>

namespace sandy::http {

/// Hears what the edge does, to count it. Called on every pool thread at once; must be cheap and must not
/// block or throw.
class http_observer {
public:
  virtual ~http_observer() = default;
  virtual void connection_opened() noexcept = 0;
  virtual void connection_closed() noexcept = 0;
  /// One request is over. @param route the pattern of the matched route, empty when none did: a closed set.
  /// @param method as sent. @param status 499 when the client went away before anything was answered. @param
  /// seconds from the end of the head to the end of the answer.
  virtual void request_finished(std::string_view route, std::string_view method, unsigned status,
                                double seconds) noexcept = 0;
};

} // namespace sandy::http
