#pragma once

#include "http/client/call.hpp"
#include "http/platform/metering.hpp"
#include "http/platform/request.hpp"

#include <optional>

namespace sandy::http::platform {

/// One request of a sandbox on its way to a service, and the answer on its way back. Lives in its handler's
/// frame.
class passing {
public:
  passing(exchange& ex, const proxy& rules, service& to, std::shared_ptr<ledger> account);
  passing(const passing&) = delete;
  passing& operator=(const passing&) = delete;
  ~passing();

  /// Answers, whatever happens. Fails before anything was sent, with what reading the request fails with.
  io_task<result<void>> run();

private:
  /// Tries of a request that may be sent again, and the pause before the second; each later one is twice as
  /// long.
  static constexpr int most_tries = 3;
  static constexpr std::chrono::milliseconds first_pause{100};

  io_task<void> refuse_while_resting(breaker::time_point until);
  io_task<void> refuse_spent(spent_part part);
  io_task<result<void>> ask(breaker::pass& passed);
  void blame(breaker::pass& passed, const caf::error& why) const;
  io_task<result<void>> try_once();
  io_task<void> answer_failure(caf::error why);
  io_task<void> pass_back();
  io_task<void> pass_body();
  io_task<bool> pass_piece(std::string_view bytes);
  io_task<void> cut(std::string_view code, std::string detail);
  void log_failure(const caf::error& why) const;
  std::string named() const { return "The platform service '" + to_.settings.name + "'"; }

  exchange& ex_;
  const proxy& rules_;
  service& to_;
  std::shared_ptr<ledger> account_;
  outgoing_request request_;
  std::optional<metering> meter_;
  std::optional<client::call> call_;
  std::optional<usage_reader> reader_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::uint64_t passed_bytes_ = 0;
  unsigned status_ = 499; ///< nobody was answered
};

} // namespace sandy::http::platform
