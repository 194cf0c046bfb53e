#pragma once

#include "http/platform/settings.hpp"
#include "messages/ids.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace sandy::http::platform {

/// What was used of the platform's services.
struct usage {
  std::uint64_t requests = 0;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::uint64_t cost_nanos = 0; ///< billionths: a token may cost less than a millionth
  std::uint64_t violations = 0; ///< requests for what is no service
  friend bool operator==(const usage&, const usage&) = default;
};

/// Which part of a budget is spent.
enum class spent_part : std::uint8_t { none, requests, tokens, cost };
std::string_view to_string(spent_part part) noexcept;

/// What one sandbox used, and may use. What a child uses counts for its parent as well, and up from there: no
/// sandbox gets around its budget by making others. Thread safe.
class ledger {
public:
  explicit ledger(sandbox_id whose)
      : whose_(std::move(whose)) {}

  const sandbox_id& whose() const noexcept { return whose_; }
  /// Says who its parent is; nullptr: it has none. Counts nothing of what was used before. The first call
  /// holds.
  void adopt(std::shared_ptr<ledger> parent);
  bool adopted() const;
  /// nullptr: it has none, or nobody said.
  std::shared_ptr<ledger> parent() const;

  /// Counts one more request, its price included, if every budget from here up has room; else says which part
  /// is spent, here or above, and counts nothing. Requests that run at the same time may go over the tokens
  /// and the cost by what they use together: nobody knows before.
  spent_part admit(const budget& limits, micros price);
  /// What `admit` would say now.
  spent_part spent(const budget& limits, micros price) const;
  /// Counts tokens and what they cost; negative: fewer than were thought.
  void add_tokens(std::int64_t input, std::int64_t output, std::int64_t cost_nanos);
  void add_violation();
  /// Which part more was used of than there is, here or above.
  spent_part passed(const budget& limits) const;

  usage used() const;
  /// The key that came with the sandbox; empty: none.
  std::string key() const;
  void set_key(std::string key);
  /// Whether a line about a violation may be logged now: a sandbox must not fill the log.
  bool may_log() noexcept { return lines_.fetch_add(1, std::memory_order_relaxed) < most_lines; }

private:
  static constexpr std::uint32_t most_lines = 100;

  const sandbox_id whose_;
  mutable std::mutex mutex_; ///< held for a few instructions, and never two of them
  std::optional<std::shared_ptr<ledger>> parent_;
  usage used_;
  std::string key_;
  std::atomic<std::uint32_t> lines_{0};
};

/// The ledgers of the sandboxes that live here. Thread safe.
class ledger_table {
public:
  void open(const sandbox_id& id);
  void close(const sandbox_id& id);
  /// nullptr for an unknown one.
  std::shared_ptr<ledger> find(const sandbox_id& id) const;

  /// The same, closed when what it returns is destroyed, which the table outlives.
  std::shared_ptr<void> lease(const sandbox_id& id);

private:
  mutable std::mutex mutex_;
  std::unordered_map<sandbox_id, std::shared_ptr<ledger>> open_;
};

} // namespace sandy::http::platform
