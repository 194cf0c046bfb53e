#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace sandy::http::platform {

enum class breaker_state : std::uint8_t {
  closed,    ///< requests pass
  open,      ///< none does, for a while
  half_open, ///< the while is over: one passes, and shows whether the others may
};

/// Keeps requests from a target that fails: they would only wait, and keep it from recovering. Nobody opens
/// it for everybody by himself: where the requests reached the target, failures of one asker alone may be his
/// requests' fault. Thread safe; has no clock of its own.
class breaker {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// @param failures in a row that open it, at least 1. @param pause until one request may try again.
  breaker(std::uint32_t failures, std::chrono::milliseconds pause)
      : failures_(failures)
      , pause_(pause) {}

  /// What became of one request that passed; it failed to tell when it is destroyed before it said so, as
  /// when its client hung up.
  class pass {
  public:
    pass(breaker& from, bool probe)
        : from_(&from)
        , probe_(probe) {}
    explicit pass(time_point waits_until)
        : waits_until_(waits_until) {}
    pass(const pass&) = delete;
    pass& operator=(const pass&) = delete;
    ~pass();
    bool granted() const noexcept { return waits_until_ == time_point{}; }
    /// When one may pass again, of one that was not granted.
    time_point waits_until() const noexcept { return waits_until_; }
    void succeeded();
    /// The target failed at a request of this asker's; 0: it cannot be reached, whoever asks.
    void failed(time_point now, std::size_t asker);

  private:
    breaker* from_ = nullptr; ///< nullptr: it was not granted, or said what became of it
    bool probe_ = false;      ///< the one that shows; what others say while it is open was begun before
    time_point waits_until_{};
  };

  pass ask(time_point now);
  breaker_state state(time_point now) const;
  /// Until when it is open; time_point{} when requests may pass. Takes nobody's turn, as `ask` does.
  time_point rests_until(time_point now) const;

private:
  mutable std::mutex mutex_;
  const std::uint32_t failures_;
  const std::chrono::milliseconds pause_;
  std::uint32_t in_a_row_ = 0;
  std::size_t first_asker_ = 0; ///< of the failures in a row
  bool anybodys_ = false;       ///< they are more than one asker's, or nobody's
  std::size_t last_prober_ = 0; ///< whose probe failed; he does not keep it open by trying again
  time_point open_until_{};     ///< none: closed
  bool probing_ = false;        ///< the one that shows is under way
};

} // namespace sandy::http::platform
