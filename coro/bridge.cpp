#include "coro/bridge.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_actor.hpp>

#include <boost/asio/post.hpp>

#include <stdexcept>
#include <utility>

namespace sandy::coro {

namespace {

// As in scope.cpp: 20 bits of slot, the rest generation, within CAF's 60 bits of request id.
constexpr unsigned slot_bits = 20;
constexpr std::uint64_t slot_mask = (1ull << slot_bits) - 1;
constexpr std::uint64_t id_mask = (1ull << 59) - 1;

thread_local bridge* current_bridge = nullptr;

} // namespace

bridge::bridge(caf::actor_config& config, boost::asio::io_context& context)
    : monitorable_actor(config)
    , context_(context)
    , timer_(context) {}

bridge::~bridge() = default;

caf::strong_actor_ptr bridge::make(caf::actor_system& system, boost::asio::io_context& context) {
  caf::actor_config config{system.dummy_execution_unit()};
  return caf::make_actor<bridge, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system,
                                                        config, context);
}

bridge& bridge::of(const caf::strong_actor_ptr& pointer) {
  return *static_cast<bridge*>(caf::actor_cast<caf::abstract_actor*>(pointer));
}

bridge& bridge::current() {
  if (current_bridge == nullptr)
    throw std::logic_error("an actor was asked from a thread that is not of the pool");
  return *current_bridge;
}

void bridge::set_current(bridge* b) noexcept { current_bridge = b; }

void bridge::enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) {
  if (!element->mid.is_response())
    return;
  // Always posted, also on our own thread: the answer may come while its question is still being asked.
  boost::asio::post(context_, [self = caf::strong_actor_ptr{ctrl()}, this,
                               element = std::move(element)]() mutable { deliver(std::move(element)); });
}

void bridge::deliver(caf::mailbox_element_ptr element) {
  if (auto* waiting = take(element->mid.request_id().integer_value()))
    waiting->complete(element.get());
}

caf::message_id bridge::add(question* q, std::chrono::milliseconds timeout) {
  std::uint32_t index;
  if (free_.empty()) {
    if (slots_.size() > slot_mask)
      throw std::length_error("too many questions in flight on one thread");
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  auto& entry = slots_[index];
  entry.waiting = q;
  q->id_ = ((++entry.generation << slot_bits) | index) & id_mask;
  q->timer_.owner = q;
  q->deadline_ = std::chrono::steady_clock::now() + timeout;
  auto* position = &timers_;
  while (position->prev() != &timers_ &&
         static_cast<question::timer_hook*>(position->prev())->owner->deadline_ > q->deadline_)
    position = position->prev();
  q->timer_.insert_before(*position);
  arm();
  return caf::message_id{q->id_}.with_normal_priority();
}

question* bridge::take(std::uint64_t id) {
  auto index = id & slot_mask;
  if (index >= slots_.size())
    return nullptr;
  auto& entry = slots_[index];
  if (entry.waiting == nullptr || entry.waiting->id_ != id)
    return nullptr;
  free_.push_back(static_cast<std::uint32_t>(index));
  auto* taken = std::exchange(entry.waiting, nullptr);
  taken->timer_.unlink();
  return taken;
}

void bridge::cancel(std::uint64_t id) {
  if (auto* waiting = take(id))
    waiting->abandon();
}

void bridge::fail_all() {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (auto* waiting = slots_[i].waiting)
      cancel(waiting->id_);
  timer_.cancel();
}

void bridge::arm() {
  if (!timers_.linked())
    return;
  auto first = static_cast<question::timer_hook*>(timers_.next())->owner->deadline_;
  if (first >= armed_)
    return;
  armed_ = first;
  timer_.expires_at(first);
  timer_.async_wait([self = caf::strong_actor_ptr{ctrl()}, this](boost::system::error_code ec) {
    if (!ec)
      fire();
  });
}

void bridge::fire() {
  armed_ = std::chrono::steady_clock::time_point::max();
  auto now = std::chrono::steady_clock::now();
  while (timers_.linked()) {
    auto* q = static_cast<question::timer_hook*>(timers_.next())->owner;
    if (q->deadline_ > now)
      break;
    if (auto* waiting = take(q->id_))
      waiting->complete(nullptr);
  }
  arm();
}

} // namespace sandy::coro
