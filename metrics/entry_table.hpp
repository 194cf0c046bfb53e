#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace sandy::metrics {

/// Entries that are made once and stay: finding one that exists takes no lock. Bounded; thread safe.
template <class Entry, std::size_t Slots>
class entry_table {
public:
  /// The entry for which `matches(entry)` holds, else the one that `make()` returns (a unique_ptr).
  /// @returns nullptr when the table is full.
  template <class Matches, class Make>
  Entry* find_or_make(std::size_t hash, Matches matches, Make make) {
    if (auto* found = probe(hash, matches).entry)
      return found;
    std::lock_guard lock(mutex_);
    auto place = probe(hash, matches);             // again: somebody may have been faster
    if (place.entry || owned_.size() == Slots / 2) // half stays free, so that misses end soon
      return place.entry;
    owned_.push_back(make());
    place.slot->store(owned_.back().get(), std::memory_order_release);
    return owned_.back().get();
  }

  template <class Visitor>
  void for_each(Visitor visit) const {
    std::lock_guard lock(mutex_);
    for (const auto& entry : owned_)
      visit(*entry);
  }

private:
  struct place {
    Entry* entry;
    std::atomic<Entry*>* slot; ///< where it is or would be; never null, as free slots remain
  };

  template <class Matches>
  place probe(std::size_t hash, Matches& matches) {
    for (auto index = hash % Slots;; index = (index + 1) % Slots) {
      auto* entry = slots_[index].load(std::memory_order_acquire);
      if (!entry || matches(*entry))
        return {entry, &slots_[index]};
    }
  }

  std::array<std::atomic<Entry*>, Slots> slots_{};
  mutable std::mutex mutex_; ///< guards insertion and the list
  std::vector<std::unique_ptr<Entry>> owned_;
};

} // namespace sandy::metrics
