#include "coro/scheduler.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace sandy::coro {

/// One io_context as CAF sees it.
class scheduler::unit final : public caf::execution_unit {
public:
  unit(caf::actor_system& system, boost::asio::io_context& context, scheduler& owner)
      : execution_unit(&system)
      , context_(context)
      , owner_(owner) {}
  void exec_later(caf::resumable* what) override;

private:
  friend struct scheduler::job;
  boost::asio::io_context& context_;
  scheduler& owner_;
};

/// A scheduled actor; owns one reference to it.
struct scheduler::job {
  job(caf::resumable* w, unit* o) noexcept
      : what(w)
      , on(o) {
    on->owner_.scheduled_.fetch_add(1, std::memory_order_relaxed);
  }
  job(job&& other) noexcept
      : what(std::exchange(other.what, nullptr))
      , on(other.on) {}
  job(const job&) = delete;
  job& operator=(const job&) = delete;
  ~job() {
    if (what != nullptr) { // the io_context was stopped first
      cleanup_and_release(what);
      on->owner_.finished_one();
    }
  }
  void operator()() {
    auto* actor = std::exchange(what, nullptr);
    auto& owner = on->owner_;
    switch (actor->resume(on, owner.max_throughput())) {
    case caf::resumable::resume_later:
      on->exec_later(actor);
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
      caf::intrusive_ptr_release(actor);
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
    }
    owner.finished_one();
  }

  caf::resumable* what;
  unit* on;
};

void scheduler::unit::exec_later(caf::resumable* what) { boost::asio::post(context_, job{what, this}); }

scheduler::scheduler(caf::actor_system& system, pool& threads)
    : abstract_coordinator(system)
    , pool_(threads) {
  for (std::size_t i = 0; i < threads.size(); ++i) {
    units_.push_back(std::make_unique<unit>(system, threads.context(i), *this));
    clock_.add(threads.context(i), *units_.back());
  }
}

scheduler::~scheduler() = default;

void scheduler::enqueue(caf::resumable* what) {
  auto index = pool_.current();
  if (index == pool_.size()) // not one of ours: spread
    index = next_.fetch_add(1, std::memory_order_relaxed) % units_.size();
  units_[index]->exec_later(what);
}

void scheduler::finished_one() noexcept {
  if (scheduled_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    scheduled_.notify_all();
}

void scheduler::stop() {
  for (auto count = scheduled_.load(); count > 0; count = scheduled_.load())
    scheduled_.wait(count);
  clock_.cancel_all();
  stop_actors();
}

} // namespace sandy::coro
