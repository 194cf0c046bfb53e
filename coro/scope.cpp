#include "coro/scope.hpp"

#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>

#include <stdexcept>

namespace sandy::coro {

namespace {

// Layout of our request ids: bit 59 marks them, 39 bits of generation tell a reused slot, 20 bits name the
// slot. The last slot stands for the timer. Bits 60 to 63 belong to CAF.
constexpr std::uint64_t our_bit = 1ull << 59;
constexpr unsigned slot_bits = 20;
constexpr std::uint64_t slot_mask = (1ull << slot_bits) - 1;
constexpr std::uint64_t timer_slot = slot_mask;

std::uint64_t make_id(std::uint64_t generation, std::uint64_t slot) {
  return our_bit | ((generation << slot_bits) & (our_bit - 1)) | slot;
}

thread_local scope* current_scope = nullptr;

} // namespace

operation::~operation() {
  if (id_ != 0)
    scope_->remove(this);
}

scope::~scope() { shutdown(); }

scope& scope::current() {
  if (current_scope == nullptr)
    throw std::logic_error("an actor's coroutine was used outside of an actor");
  return *current_scope;
}

bool scope::active() const noexcept { return current_scope == this; }

caf::strong_actor_ptr scope::sender() const {
  return unreferenced_ ? caf::strong_actor_ptr{} : caf::strong_actor_ptr{self_->ctrl()};
}

std::uint64_t scope::add(operation* op) {
  std::uint32_t index;
  if (first_free_ != UINT32_MAX) {
    index = first_free_;
    first_free_ = slots_[index].next_free;
  } else {
    if (slots_.size() >= timer_slot)
      throw std::length_error("too many pending operations in one actor");
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  auto& entry = slots_[index];
  entry.op = op;
  ++entry.generation;
  op->scope_ = this;
  op->id_ = make_id(entry.generation, index);
  return op->id_;
}

void scope::remove(operation* op) noexcept {
  auto index = static_cast<std::uint32_t>(op->id_ & slot_mask);
  slots_[index].op = nullptr;
  slots_[index].next_free = first_free_;
  first_free_ = index;
  op->timer_.unlink();
  op->id_ = 0;
}

operation* scope::find(std::uint64_t id) noexcept {
  auto index = id & slot_mask;
  if (index >= slots_.size())
    return nullptr;
  auto* op = slots_[index].op;
  return op != nullptr && op->id_ == id ? op : nullptr;
}

void scope::arm(operation* op, time_point deadline) {
  op->deadline_ = deadline;
  auto* position = &timers_;
  // From the back: with equal timeouts, the common case, a new deadline is the latest.
  while (position->prev() != &timers_ &&
         static_cast<operation::timer_hook*>(position->prev())->owner->deadline_ > deadline)
    position = position->prev();
  op->timer_.insert_before(*position);
  rearm();
}

void scope::rearm() {
  if (!timers_.linked())
    return;
  auto first = static_cast<operation::timer_hook*>(timers_.next())->owner->deadline_;
  if (first >= armed_)
    return;
  armed_ = first;
  auto mid = caf::message_id{make_id(++timer_generation_, timer_slot)};
  self_->clock().set_request_timeout(first, self_, mid.response_id());
}

bool scope::is_ours(caf::message_id mid) noexcept {
  return mid.is_response() && (mid.integer_value() & our_bit) != 0;
}

void scope::dispatch(caf::mailbox_element& element) {
  auto id = element.mid.request_id().integer_value();
  if ((id & slot_mask) == timer_slot) {
    if (id == make_id(timer_generation_, timer_slot)) // else it was overtaken by an earlier one
      fire_timers();
    return;
  }
  if (auto* op = find(id))
    finish(op, &element);
}

void scope::fire_timers() {
  armed_ = time_point::max();
  auto now = self_->clock().now();
  while (timers_.linked()) {
    auto* op = static_cast<operation::timer_hook*>(timers_.next())->owner;
    if (op->deadline_ > now)
      break;
    finish(op, nullptr);
  }
  rearm();
}

void scope::finish(operation* op, caf::mailbox_element* element) {
  remove(op);
  op->complete(element);
  if (auto waiter = std::exchange(op->waiter_, {}))
    waiter.resume(); // may destroy op
}

void scope::drain() {
  while (ready_.linked()) {
    auto* hook = static_cast<ready_hook*>(ready_.next());
    hook->unlink();
    hook->handle.resume();
  }
}

void scope::shutdown() noexcept {
  while (roots_.linked())
    static_cast<root::frame_hook*>(roots_.next())->owner->frame_.destroy();
}

void scope::rethrow_crash() {
  if (crash_)
    std::rethrow_exception(std::exchange(crash_, nullptr));
}

scope::activation::activation(scope* s) noexcept
    : previous_(std::exchange(current_scope, s)) {}

scope::activation::~activation() { current_scope = previous_; }

scope::root::root()
    : scope_(&scope::current()) {
  hook_.owner = this;
  hook_.insert_before(scope_->roots_);
  ++scope_->frames_;
}

scope::root::~root() { --scope_->frames_; }

} // namespace sandy::coro
