#pragma once

#include "http/platform/proxy.hpp"
#include "http/platform/usage_reader.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace sandy::http::platform {

/// Counts what one request takes, while it is answered: in its sandbox's ledger, and from there up. Where an
/// answer does not say how many tokens it took, or its reader left before it could, they are estimated:
/// nobody gets around a budget by not asking. Destroying it counts what is known then.
class metering {
public:
  /// @param asked_for the model that the request names. @param request_bytes of its body.
  metering(const proxy& rules, service& what, std::shared_ptr<ledger> account, std::string asked_for,
           std::uint64_t request_bytes);
  metering(const metering&) = delete;
  metering& operator=(const metering&) = delete;
  ~metering();

  /// The service got the request: from here on it may cost something.
  void sent() noexcept { owed_ = service_.settings.count_tokens; }
  /// It took nothing: it was not reached, or refused.
  void nothing() noexcept { owed_ = false; }
  /// Counts what has been said so far, of a stream at the end of an event. @returns which part of a budget
  /// was passed.
  spent_part note(const usage_reader& read);
  /// The answer is over: what it did not say is estimated.
  /// @param whole it was read to its end: what it says of its tokens is the sum
  /// @param announced bytes of the answer, as its head says; 0: it does not
  void close(const usage_reader& read, bool whole, std::uint64_t announced = 0);

private:
  /// A token takes about four bytes of text.
  static constexpr std::uint64_t bytes_per_token = 4;
  void settle(token_counts all, const std::string& model);
  static token_counts known(const usage_reader& read, token_counts estimate, bool whole);

  const proxy& rules_;
  service& service_;
  std::shared_ptr<ledger> account_;
  const std::string asked_for_;
  const std::uint64_t request_bytes_;
  bool owed_ = false; ///< something is to be counted, and the end was not
  token_counts counted_;
  std::uint64_t cost_ = 0;
  std::string model_;
};

} // namespace sandy::http::platform
