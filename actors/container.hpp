#pragma once

#include "actors/container_box.hpp"
#include "actors/services.hpp"
#include "coro/actor.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/container.hpp"
#include "store/store.hpp"

#include <memory>

namespace sandy {

/// State of one container: starts its program, knows how it is, starts it again where that is wanted, and
/// ends it.
///
/// Spawned by its sandbox, which made what the kernel holds for it, and removes that when this is over. Until
/// its program was healthy once it is not started again: whoever ordered it hears why it failed. A workload
/// is started again from the first time on: nobody waits for it.
class container_state {
public:
  static inline const char* name = "container";
  using self_pointer = coro::actor<container_state, container_actor>*;

  /// @param found it ran before we did: `start_container` only takes it over.
  container_state(self_pointer self, services* env, container_record record,
                  std::shared_ptr<container_box> box, std::string workdir, bool found);
  container_actor::behavior_type make_behavior();

private:
  caf::result<container_info> start(start_container);
  caf::result<container_info> end(end_container message);

  coro::task<void> launch();
  coro::task<void> follow();
  coro::task<bool> start_again();
  coro::task<void> end_tree();
  coro::task<void> watch_health();
  coro::task<void> rest(coro::duration time);
  coro::task<void> check();
  coro::task<void> keep_guest();
  coro::task<std::string> last_words();
  coro::task<void> persist();
  static coro::task<void> wait_for(coro::event& what);
  void settle(container_status status, std::string error = {});
  bool wants_restart() const;
  void log(std::string_view what, std::string_view detail = {}) const;

  self_pointer self_;
  services& env_;
  container_record record_;
  container_info& info_; ///< in the record
  std::shared_ptr<container_box> box_;
  std::string workdir_;
  bool found_;
  bool stopping_ = false;
  bool launching_ = false; ///< its program may be started at this moment
  bool recorded_ = true;   ///< the store has what is known
  coro::channel<bool> started_again_{1};
  coro::event settled_;                 ///< it was healthy, or it ended
  coro::event ended_;                   ///< it runs no more, and is not started again
  std::uint32_t failed_checks_ = 0;     ///< in a row
  std::uint32_t restarts_in_a_row_ = 0; ///< without a time of health in between
  coro::time_point launched_{};
};

} // namespace sandy
