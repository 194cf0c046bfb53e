#pragma once

#include "http/gateway/model.hpp"
#include "messages/container_pool.hpp"

#include <chrono>
#include <memory>

namespace sandy::runtime {
class entrance_directory;
}

namespace sandy::http::gateway {

/// A model behind a pool of warm containers. For all threads, once it has its pool.
class container_backend final : public backend {
public:
  /// @param patience until a request that finds no free container is given up
  explicit container_backend(std::chrono::milliseconds patience)
      : patience_(patience) {}

  /// Where containers come from, and the ways into their sandboxes. Called once, before the first request.
  void use(container_pool_actor pool, const runtime::entrance_directory& entrances);

  /// Never: a claim is a message.
  std::unique_ptr<lease> at_once(const principal&) override { return nullptr; }
  io_task<result<std::unique_ptr<lease>>> acquire(principal caller, std::chrono::milliseconds wait) override;
  io_task<result<std::unique_ptr<lease>>> acquire_spare(principal caller, const lease* besides) override;
  /// A container may have died unseen; the next one is healthy.
  unsigned places() const noexcept override { return 2; }

private:
  io_task<result<std::unique_ptr<lease>>> take(std::chrono::milliseconds wait, sandbox_id besides);

  std::chrono::milliseconds patience_;
  container_pool_actor pool_;
  const runtime::entrance_directory* entrances_ = nullptr;
};

} // namespace sandy::http::gateway
