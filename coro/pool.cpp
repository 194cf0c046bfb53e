#include "coro/pool.hpp"

#include "coro/bridge.hpp"
#include "coro/scheduler.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/logger.hpp>

#include <boost/asio/post.hpp>

#include <pthread.h>

#include <future>
#include <string>

namespace sandy::coro {

namespace {

thread_local const pool* current_pool = nullptr;
thread_local std::size_t current_index = 0;

/// Runs `work` on a context's thread and waits for it. For start and stop only.
template <class F>
void on_thread(boost::asio::io_context& context, F work) {
  std::promise<void> done;
  boost::asio::post(context, [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

} // namespace

pool::pool(std::size_t threads, std::size_t blocking_threads)
    : blocking_(blocking_threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    contexts_.push_back(
        std::make_unique<boost::asio::io_context>(1)); // one thread each: no locks in its queue
    guards_.emplace_back(contexts_.back()->get_executor());
  }
  for (std::size_t i = 0; i < threads; ++i)
    threads_.emplace_back([this, i] {
      ::pthread_setname_np(::pthread_self(), ("sandy-io-" + std::to_string(i)).c_str());
      current_pool = this;
      current_index = i;
      contexts_[i]->run();
    });
}

pool::~pool() {
  blocking_.join();
  guards_.clear();
  for (auto& context : contexts_)
    context->stop();
  for (auto& thread : threads_)
    thread.join();
}

std::size_t pool::current() const noexcept { return current_pool == this ? current_index : contexts_.size(); }

void pool::use_for(caf::actor_system_config& config) {
  config.module_factories.emplace_back([this](caf::actor_system& system) -> caf::actor_system::module* {
    return new scheduler(system, *this);
  });
}

void pool::start_bridges(caf::actor_system& system) {
  for (std::size_t i = 0; i < contexts_.size(); ++i) {
    bridges_.push_back(bridge::make(system, *contexts_[i]));
    on_thread(*contexts_[i], [made = &bridge::of(bridges_.back())] { bridge::set_current(made); });
  }
}

void pool::stop_bridges() {
  for (std::size_t i = 0; i < bridges_.size(); ++i)
    on_thread(*contexts_[i], [old = &bridge::of(bridges_[i])] {
      old->fail_all();
      bridge::set_current(nullptr);
      // A thread that spawned an actor holds the system's logger, and the system waits for it in its
      // destructor.
      caf::logger::set_current_actor_system(nullptr);
    });
  bridges_.clear();
}

} // namespace sandy::coro
