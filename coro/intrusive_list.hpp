#pragma once

namespace sandy::coro {

/// A node of a circular doubly linked list; also its head. Unlinks itself when destroyed, so an awaiter that
/// goes away with its frame leaves every queue it stood in.
class list_hook {
public:
  list_hook() = default;
  list_hook(const list_hook&) = delete;
  list_hook& operator=(const list_hook&) = delete;
  ~list_hook() { unlink(); }

  void unlink() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }
  void insert_before(list_hook& position) noexcept {
    unlink();
    prev_ = position.prev_;
    next_ = &position;
    prev_->next_ = this;
    position.prev_ = this;
  }
  bool linked() const noexcept { return next_ != this; }
  list_hook* next() const noexcept { return next_; }
  list_hook* prev() const noexcept { return prev_; }

private:
  list_hook* prev_ = this;
  list_hook* next_ = this;
};

} // namespace sandy::coro
