#include "coro/clock.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>
#include <caf/group.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <variant>

namespace sandy::coro {

struct pool_clock::event {
  struct timeout {
    caf::weak_actor_ptr receiver;
    caf::atom_value type;
    std::uint64_t id;
  };
  struct request_timeout {
    caf::weak_actor_ptr receiver;
    caf::message_id id;
  };
  struct delayed {
    caf::strong_actor_ptr receiver;
    caf::mailbox_element_ptr content;
  };
  struct delayed_group {
    caf::group target;
    caf::strong_actor_ptr sender;
    caf::message content;
  };

  time_point due;
  std::variant<timeout, request_timeout, delayed, delayed_group> what;

  static bool later(const event& a, const event& b) { return a.due > b.due; }

  void deliver(caf::execution_unit* unit) {
    if (auto* t = std::get_if<timeout>(&what)) {
      if (auto to = caf::actor_cast<caf::strong_actor_ptr>(t->receiver))
        to->get()->eq_impl(caf::make_message_id(), to, unit, caf::timeout_msg{t->type, t->id});
    } else if (auto* r = std::get_if<request_timeout>(&what)) {
      if (auto to = caf::actor_cast<caf::strong_actor_ptr>(r->receiver))
        to->get()->eq_impl(r->id, to, unit, caf::make_error(caf::sec::request_timeout));
    } else if (auto* d = std::get_if<delayed>(&what)) {
      d->receiver->enqueue(std::move(d->content), unit);
    } else if (auto* g = std::get_if<delayed_group>(&what)) {
      g->target->eq_impl(caf::make_message_id(), std::move(g->sender), unit, std::move(g->content));
    }
  }
};

/// The timers of one thread; touched on that thread only.
class pool_clock::shard : public std::enable_shared_from_this<shard> {
public:
  shard(boost::asio::io_context& context, caf::execution_unit& unit)
      : context_(context)
      , unit_(unit)
      , timer_(context) {}

  boost::asio::io_context& context() noexcept { return context_; }
  bool here() const { return context_.get_executor().running_in_this_thread(); }

  void add(event e) {
    heap_.push_back(std::move(e));
    std::push_heap(heap_.begin(), heap_.end(), event::later);
    arm();
  }
  void clear() {
    heap_.clear();
    timer_.cancel();
    armed_ = time_point::max();
  }

private:
  void arm() {
    if (heap_.empty() || heap_.front().due >= armed_)
      return;
    armed_ = heap_.front().due;
    timer_.expires_at(armed_);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
      if (!ec)
        self->fire();
    });
  }
  void fire() {
    armed_ = time_point::max();
    auto now = std::chrono::steady_clock::now();
    while (!heap_.empty() && heap_.front().due <= now) {
      std::pop_heap(heap_.begin(), heap_.end(), event::later);
      auto due = std::move(heap_.back());
      heap_.pop_back();
      due.deliver(&unit_);
    }
    arm();
  }

  using timer_type = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                       boost::asio::wait_traits<std::chrono::steady_clock>,
                                                       boost::asio::io_context::executor_type>;
  boost::asio::io_context& context_;
  caf::execution_unit& unit_;
  timer_type timer_;
  std::vector<event> heap_;
  time_point armed_ = time_point::max();
};

pool_clock::pool_clock() = default;
pool_clock::~pool_clock() = default;

void pool_clock::add(boost::asio::io_context& context, caf::execution_unit& unit) {
  shards_.push_back(std::make_shared<shard>(context, unit));
}

void pool_clock::put(event e) {
  using std::chrono::milliseconds;
  auto since_boot = e.due.time_since_epoch();
  e.due = time_point{std::chrono::ceil<milliseconds>(since_boot)};
  for (auto& each : shards_)
    if (each->here())
      return each->add(std::move(e));
  auto& first = shards_.front();
  boost::asio::post(first->context(), [first, e = std::move(e)]() mutable { first->add(std::move(e)); });
}

void pool_clock::set_ordinary_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                                      std::uint64_t id) {
  put({t, event::timeout{caf::weak_actor_ptr{self->ctrl()}, type, id}});
}

void pool_clock::set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                                   std::uint64_t id) {
  set_ordinary_timeout(t, self, type, id);
}

void pool_clock::set_request_timeout(time_point t, caf::abstract_actor* self, caf::message_id id) {
  put({t, event::request_timeout{caf::weak_actor_ptr{self->ctrl()}, id}});
}

void pool_clock::schedule_message(time_point t, caf::strong_actor_ptr receiver,
                                  caf::mailbox_element_ptr content) {
  put({t, event::delayed{std::move(receiver), std::move(content)}});
}

void pool_clock::schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                                  caf::message content) {
  put({t, event::delayed_group{std::move(target), std::move(sender), std::move(content)}});
}

void pool_clock::cancel_all() {
  for (auto& each : shards_)
    boost::asio::dispatch(each->context(), [each] { each->clear(); });
}

} // namespace sandy::coro
