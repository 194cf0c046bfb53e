#pragma once

#include "messages/error.hpp"
#include "messages/sandbox.hpp"

#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sandy::http::gateway {

/// Two answers to one prompt, whose models are hidden until somebody votes.
struct duel {
  std::string model_a;
  std::string model_b;
  std::string prompt_hash; ///< SHA-256 in hex of the prompt, in lower case with single spaces
};

/// A vote as it was cast.
struct vote {
  std::string prompt_id;
  std::string winner;                 ///< "A", "B", "tie", "both_bad"
  std::string user;                   ///< or its address: whose votes are counted
  unix_millis session_created_at = 0; ///< 0: nobody says
};

/// Who competes in the arena, and who may vote. Thread safe; bounded.
class arena_book {
public:
  using clock = std::chrono::steady_clock;

  /// Remembers a duel for an hour under this id.
  void open(std::string prompt_id, duel what, clock::time_point now = clock::now());

  /// What `close` may refuse: see errors. Fails with file_not_found (unknown or too old), conflict (voted
  /// already), invalid_argument (too soon), rate_limited, forbidden (a session that has just begun).
  result<duel> close(const vote& cast, clock::time_point now = clock::now(), unix_millis wall = unix_now());
  /// Undoes a vote that `close` took: its duel may be voted on again, and its voter has one vote more.
  void reopen(const vote& cast);

private:
  struct entry {
    duel what;
    clock::time_point opened;
    bool voted = false;
  };
  void forget_old(clock::time_point now);

  std::mutex mutex_;
  std::unordered_map<std::string, entry> duels_;
  std::deque<std::pair<clock::time_point, std::string>> order_;          ///< the oldest first
  std::unordered_map<std::string, std::deque<clock::time_point>> votes_; ///< of the last hour, by voter
};

/// The hash that tells prompts apart.
std::string prompt_hash(std::string_view prompt);

} // namespace sandy::http::gateway
