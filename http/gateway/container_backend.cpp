#include "http/gateway/container_backend.hpp"

#include "coro/ask.hpp"
#include "runtime/entrance.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <atomic>

namespace sandy::http::gateway {

namespace {

std::atomic<std::uint64_t> next_claim{1};

/// The pool keeps its promises itself; this much later it is broken.
constexpr std::chrono::seconds pool_timeout{10};

/// A claim from before it is asked for until the request is over, however it ends.
class container_lease final : public lease {
public:
  explicit container_lease(container_pool_actor pool)
      : number(next_claim.fetch_add(1, std::memory_order_relaxed))
      , pool_(std::move(pool)) {}
  ~container_lease() override { caf::anon_send(pool_, return_container{number, failed_}); }
  void finished(bool well) noexcept override { failed_ = !well; }

  const std::uint64_t number;
  sandbox_id inside; ///< once there is one

private:
  container_pool_actor pool_;
  bool failed_ = false;
};

} // namespace

void container_backend::use(container_pool_actor pool, const runtime::entrance_directory& entrances) {
  pool_ = std::move(pool);
  entrances_ = &entrances;
}

io_task<result<std::unique_ptr<lease>>> container_backend::acquire(principal,
                                                                   std::chrono::milliseconds wait) {
  return take(std::min(wait, patience_), {});
}

io_task<result<std::unique_ptr<lease>>> container_backend::acquire_spare(principal, const lease* besides) {
  const auto* there = dynamic_cast<const container_lease*>(besides);
  return take(std::chrono::milliseconds{0}, there != nullptr ? there->inside : sandbox_id{});
}

io_task<result<std::unique_ptr<lease>>> container_backend::take(std::chrono::milliseconds wait,
                                                                sandbox_id besides) {
  auto mine = std::make_unique<container_lease>(pool_);
  claim_container wanted{mine->number, static_cast<std::uint64_t>(wait.count()), std::move(besides)};
  auto claim = co_await ask(pool_, wanted, wait + pool_timeout);
  if (!claim)
    co_return std::move(claim.error());
  auto inside = entrances_->find(claim->sandbox);
  if (!inside) {
    mine->finished(false);
    co_return fail(errc::upstream_error, "Upstream error: the container is gone");
  }
  mine->inside = claim->sandbox;
  mine->to = client::address::in_sandbox(std::move(inside), claim->port);
  mine->target = "/v1/chat/completions";
  co_return std::unique_ptr<lease>{std::move(mine)};
}

} // namespace sandy::http::gateway
