#include "actors/container_pool_keeper.hpp"

#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace sandy {

namespace {

using namespace std::chrono_literals;

/// A bug that a container brings out comes back as soon as that is taken over.
constexpr auto first_pause = 1s;
constexpr auto last_pause = 60s;
/// One that lived for so long has not died of what it began with.
constexpr auto long_life = 60s;
/// The pool keeps its promises itself; this much later it is broken.
constexpr auto pool_timeout = 5s;
constexpr std::uint32_t retry_after = 1;

caf::error it_died() {
  return fail_for_now(errc::capacity_exhausted, "The containers of this model are being taken over",
                      retry_after);
}

/// What the pool answered, or that it is no more.
template <class T>
result<T> said(result<T> answer) {
  if (!answer && answer.error() == caf::sec::request_receiver_down)
    return it_died();
  return answer;
}

} // namespace

container_pool_keeper_state::container_pool_keeper_state(self_pointer self, std::string model,
                                                         std::function<container_pool_actor()> spawn)
    : self_(self)
    , model_(std::move(model))
    , spawn_(std::move(spawn))
    , pause_(first_pause) {
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    log_event(log_level::error, "container_pool_died",
              {{"model", model_}, {"reason", self_->system().render(down.reason)}});
    pool_ = nullptr;
    if (self_->clock().now() - begun_ >= long_life) {
      pause_ = first_pause;
      begin();
      return;
    }
    coro::spawn(begin_again(pause_));
    pause_ = std::min<std::chrono::milliseconds>(2 * pause_, last_pause);
  });
}

container_pool_keeper_state::~container_pool_keeper_state() {
  if (pool_)
    caf::anon_send_exit(pool_, caf::exit_reason::user_shutdown);
}

container_pool_actor::behavior_type container_pool_keeper_state::make_behavior() {
  begin();
  return {
      [this](claim_container request) { return claim(std::move(request)); },
      [this](const return_container& request) {
        if (pool_)
          caf::anon_send(pool_, request);
      },
      [this](get_container_pool request) { return health(request); },
  };
}

void container_pool_keeper_state::begin() {
  begun_ = self_->clock().now();
  pool_ = spawn_();
  self_->monitor(pool_);
}

coro::task<void> container_pool_keeper_state::begin_again(std::chrono::milliseconds pause) {
  co_await coro::sleep_for(pause);
  begin();
  co_return caf::unit;
}

caf::result<container_claim> container_pool_keeper_state::claim(claim_container request) {
  if (!pool_)
    co_return it_died();
  auto timeout = std::chrono::milliseconds{request.wait_ms} + pool_timeout;
  auto answer = co_await coro::request(pool_, timeout, std::move(request));
  co_return said(std::move(answer));
}

caf::result<container_pool_health> container_pool_keeper_state::health(get_container_pool request) {
  if (!pool_)
    co_return it_died();
  auto answer = co_await coro::request(pool_, pool_timeout, request);
  co_return said(std::move(answer));
}

} // namespace sandy
