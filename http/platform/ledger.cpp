#include "http/platform/ledger.hpp"

#include <algorithm>

namespace sandy::http::platform {

namespace {

/// Whether a limit is smaller than what was used, or would be used. 0 is none.
bool beyond(std::uint64_t used, std::uint64_t limit) { return limit != 0 && used > limit; }

spent_part beyond(const usage& used, const budget& limits) {
  if (beyond(used.requests, limits.requests))
    return spent_part::requests;
  if (beyond(used.input_tokens + used.output_tokens, limits.tokens))
    return spent_part::tokens;
  return beyond(used.cost_nanos, limits.cost * 1000) ? spent_part::cost : spent_part::none;
}

/// The same for one more request, of which nobody knows yet what it takes: something must be left.
spent_part beyond_with_one_more(usage used, const budget& limits, micros price) {
  ++used.requests;
  ++used.input_tokens;
  used.cost_nanos += std::max<std::uint64_t>(price * 1000, 1);
  return beyond(used, limits);
}

} // namespace

std::string_view to_string(spent_part part) noexcept {
  switch (part) {
  case spent_part::none:
    return "none";
  case spent_part::requests:
    return "requests";
  case spent_part::tokens:
    return "tokens";
  case spent_part::cost:
    return "cost";
  }
  return "none";
}

void ledger::adopt(std::shared_ptr<ledger> parent) {
  std::lock_guard lock{mutex_};
  if (!parent_)
    parent_ = std::move(parent);
}

bool ledger::adopted() const {
  std::lock_guard lock{mutex_};
  return parent_.has_value();
}

std::shared_ptr<ledger> ledger::parent() const {
  std::lock_guard lock{mutex_};
  return parent_.value_or(nullptr);
}

spent_part ledger::admit(const budget& limits, micros price) {
  {
    std::lock_guard lock{mutex_};
    if (auto part = beyond_with_one_more(used_, limits, price); part != spent_part::none)
      return part;
    ++used_.requests;
    used_.cost_nanos += price * 1000;
  }
  auto above = parent();
  auto part = above ? above->admit(limits, price) : spent_part::none;
  if (part != spent_part::none) {
    std::lock_guard lock{mutex_};
    --used_.requests;
    used_.cost_nanos -= price * 1000;
  }
  return part;
}

spent_part ledger::spent(const budget& limits, micros price) const {
  auto part = beyond_with_one_more(used(), limits, price);
  if (part != spent_part::none)
    return part;
  auto above = parent();
  return above ? above->spent(limits, price) : spent_part::none;
}

void ledger::add_tokens(std::int64_t input, std::int64_t output, std::int64_t cost_nanos) {
  {
    std::lock_guard lock{mutex_};
    used_.input_tokens += static_cast<std::uint64_t>(input); // what is taken off was added before
    used_.output_tokens += static_cast<std::uint64_t>(output);
    used_.cost_nanos += static_cast<std::uint64_t>(cost_nanos);
  }
  if (auto above = parent())
    above->add_tokens(input, output, cost_nanos);
}

void ledger::add_violation() {
  std::lock_guard lock{mutex_};
  ++used_.violations;
}

spent_part ledger::passed(const budget& limits) const {
  auto part = beyond(used(), limits);
  if (part != spent_part::none)
    return part;
  auto above = parent();
  return above ? above->passed(limits) : spent_part::none;
}

usage ledger::used() const {
  std::lock_guard lock{mutex_};
  return used_;
}

std::string ledger::key() const {
  std::lock_guard lock{mutex_};
  return key_;
}

void ledger::set_key(std::string key) {
  std::lock_guard lock{mutex_};
  key_ = std::move(key);
}

void ledger_table::open(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  open_.try_emplace(id, std::make_shared<ledger>(id));
}

void ledger_table::close(const sandbox_id& id) {
  std::lock_guard lock{mutex_};
  open_.erase(id);
}

std::shared_ptr<void> ledger_table::lease(const sandbox_id& id) {
  open(id);
  return {nullptr, [this, id](std::nullptr_t) { close(id); }};
}

std::shared_ptr<ledger> ledger_table::find(const sandbox_id& id) const {
  std::lock_guard lock{mutex_};
  auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

} // namespace sandy::http::platform
