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
  if (owed_ && !told_)
    settle({request_bytes_ / bytes_per_token, counted_.output}, model_);
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
  auto said = read.counts();
  told_ = said.has_value();
  // An event of a stream carries one token, or more.
  settle(said.value_or(token_counts{0, read.events()}), read.model());
  return account_->passed(rules_.rules().limits);
}

void metering::close(const usage_reader& read) {
  if (!owed_)
    return;
  auto said = read.counts();
  auto written = read.form() == answer_form::events ? read.events() : read.bytes() / bytes_per_token;
  settle(said.value_or(token_counts{request_bytes_ / bytes_per_token, written}), read.model());
  owed_ = false;
}

} // namespace sandy::http::platform
