#include "http/platform/metering.hpp"

#include <algorithm>

namespace sandy::http::platform {

metering::metering(const proxy& rules, service& what, std::shared_ptr<ledger> account, std::string asked_for,
                   std::uint64_t request_bytes)
    : rules_(rules)
    , service_(what)
    , account_(std::move(account))
    , asked_for_(std::move(asked_for))
    , request_bytes_(request_bytes) {}

metering::~metering() {
  if (owed_) // nothing came back
    settle({request_bytes_ / bytes_per_token, 0}, model_);
  if (service_.settings.count_tokens)
    service_.numbers.tokens(counted_.input, counted_.output);
}

void metering::settle(token_counts all, const std::string& model) {
  auto cost = rules_.cost_of(all.input, all.output, model, asked_for_);
  auto more = [](std::uint64_t now, std::uint64_t before) { return static_cast<std::int64_t>(now - before); };
  if (all != counted_ || cost != cost_)
    account_->add_tokens(more(all.input, counted_.input), more(all.output, counted_.output),
                         more(cost, cost_));
  counted_ = all;
  cost_ = cost;
  model_ = model;
}

spent_part metering::note(const usage_reader& read) {
  if (!owed_)
    return spent_part::none;
  settle(known(read, {0, read.events()}, read.done()), read.model());
  return account_->passed(rules_.rules().limits);
}

/// What it says of itself, or the estimate. Streams may say it several times, and be more each time: that of
/// messages begins with one token, and the sum comes last. Before the end each event counts as one token, or
/// more.
token_counts metering::known(const usage_reader& read, token_counts estimate, bool whole) {
  auto said = read.counts().value_or(estimate);
  if (!whole && read.form() == answer_form::events)
    said.output = std::max(said.output, read.events());
  return said;
}

void metering::close(const usage_reader& read, bool whole, std::uint64_t announced) {
  if (!owed_)
    return;
  owed_ = false;
  const auto written = read.form() == answer_form::events
                           ? read.events()
                           : std::max(read.bytes(), announced) / bytes_per_token;
  settle(known(read, {request_bytes_ / bytes_per_token, written}, whole || read.done()), read.model());
}

} // namespace sandy::http::platform
