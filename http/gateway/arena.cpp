#include "http/gateway/arena.hpp"

#include "http/codec/fields.hpp"
#include "http/routes/sha256.hpp"

namespace sandy::http::gateway {

namespace {

constexpr std::chrono::hours remembered{1};
constexpr std::chrono::seconds least_time{5}; ///< to read two answers
constexpr std::size_t votes_per_hour = 50;
constexpr unix_millis least_session_age = 3'600'000;
constexpr std::size_t most_duels = 10'000;

} // namespace

void arena_book::forget_old(clock::time_point now) {
  while (!order_.empty() && (now - order_.front().first > remembered || order_.size() > most_duels)) {
    duels_.erase(order_.front().second);
    order_.pop_front();
  }
  for (auto it = votes_.begin(); it != votes_.end();) {
    auto& times = it->second;
    while (!times.empty() && now - times.front() > remembered)
      times.pop_front();
    it = times.empty() ? votes_.erase(it) : std::next(it);
  }
}

void arena_book::open(std::string prompt_id, duel what, clock::time_point now) {
  std::scoped_lock lock{mutex_};
  order_.emplace_back(now, prompt_id);
  duels_[std::move(prompt_id)] = {std::move(what), now};
  forget_old(now);
}

result<duel> arena_book::close(const vote& cast, clock::time_point now, unix_millis wall) {
  std::scoped_lock lock{mutex_};
  forget_old(now);
  auto found = duels_.find(cast.prompt_id);
  if (found == duels_.end())
    return fail(errc::file_not_found, "Prompt not found or expired");
  auto& held = found->second;
  if (held.voted)
    return fail(errc::conflict, "This prompt has its vote already");
  if (now - held.opened < least_time)
    return fail(errc::invalid_argument, "The vote came too soon");
  if (cast.session_created_at != 0 && wall - cast.session_created_at < least_session_age)
    return fail(errc::forbidden, "The session is too young to vote");
  auto& times = votes_[cast.user];
  if (times.size() >= votes_per_hour)
    return fail_for_now(errc::rate_limited, "Too many votes in an hour", 60);
  times.push_back(now);
  held.voted = true;
  return held.what;
}

void arena_book::reopen(const vote& cast) {
  std::scoped_lock lock{mutex_};
  if (auto found = duels_.find(cast.prompt_id); found != duels_.end())
    found->second.voted = false;
  if (auto found = votes_.find(cast.user); found != votes_.end() && !found->second.empty())
    found->second.pop_back();
}

std::string prompt_hash(std::string_view prompt) {
  std::string normal;
  for (char c : codec::lower(codec::trim(prompt))) {
    auto space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!space)
      normal.push_back(c);
    else if (!normal.ends_with(' '))
      normal.push_back(' ');
  }
  routes::sha256 digest;
  digest.update(normal);
  return digest.hex();
}

} // namespace sandy::http::gateway
