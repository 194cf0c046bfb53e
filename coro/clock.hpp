#pragma once

#include <caf/actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message_id.hpp>

#include <boost/asio/io_context.hpp>

#include <memory>
#include <vector>

namespace sandy::coro {

/// The actor clock on the pool: one heap of timers per io_context, fired by its timer, no clock thread.
/// Deadlines are rounded up to a millisecond, because wake-ups are what costs. Actors are held weakly: a
/// timer keeps nobody alive.
class pool_clock final : public caf::actor_clock {
public:
  pool_clock();
  ~pool_clock() override;

  /// Adds a thread. Before the first timer only.
  void add(boost::asio::io_context& context, caf::execution_unit& unit);

  void set_ordinary_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                            std::uint64_t id) override;
  void set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                         std::uint64_t id) override;
  void set_request_timeout(time_point t, caf::abstract_actor* self, caf::message_id id) override;
  void schedule_message(time_point t, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;
  void schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                        caf::message content) override;
  // Cancelled timers fire into the void: receivers know which one they wait for.
  void cancel_ordinary_timeout(caf::abstract_actor*, caf::atom_value) override {}
  void cancel_request_timeout(caf::abstract_actor*, caf::message_id) override {}
  void cancel_timeouts(caf::abstract_actor*) override {}
  /// Forgets everything that is not due yet.
  void cancel_all() override;

private:
  struct event;
  class shard;
  void put(event e);
  std::vector<std::shared_ptr<shard>> shards_;
};

} // namespace sandy::coro
