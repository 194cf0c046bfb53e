#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace sandy::guest {

/// When a sandbox was last used from outside. Whoever uses it holds a `use` for as long as that lasts; bytes
/// that pass meanwhile cost nothing. Thread safe, without locks.
class activity {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using clock = std::function<time_point()>;

  /// @param now for tests that bring their own time; callable from any thread.
  explicit activity(clock now = [] { return std::chrono::steady_clock::now(); })
      : now_(std::move(now)) {
    touch();
  }
  activity(const activity&) = delete;
  activity& operator=(const activity&) = delete;

  /// It was used this moment.
  void touch() { touch_at(now_()); }
  /// It was used then; earlier than what is known already changes nothing.
  void touch_at(time_point then) noexcept {
    auto value = then.time_since_epoch().count();
    auto known = last_.load();
    while (known < value && !last_.compare_exchange_weak(known, value)) {
    }
  }

  /// The last use; none while one lasts.
  std::optional<time_point> idle_since() const noexcept {
    if (uses_.load() > 0)
      return std::nullopt;
    return time_point{time_point::duration{last_.load()}};
  }

  /// How many uses last now.
  std::uint32_t count() const noexcept { return uses_.load(); }

  /// Makes the sandbox busy while it exists.
  class use {
  public:
    use() = default; ///< of nothing
    explicit use(std::shared_ptr<activity> of)
        : of_(std::move(of)) {
      ++of_->uses_;
    }
    use(use&& other) noexcept = default;
    use& operator=(use&&) = delete;
    ~use() {
      if (!of_)
        return;
      of_->touch(); // before it counts as idle: since now
      --of_->uses_;
    }

  private:
    std::shared_ptr<activity> of_;
  };

private:
  clock now_;
  std::atomic<time_point::rep> last_{0};
  std::atomic<std::uint32_t> uses_{0};
};

} // namespace sandy::guest
