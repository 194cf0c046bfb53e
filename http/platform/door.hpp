#pragma once

#include "http/context.hpp"
#include "http/egress/platform_door.hpp"
#include "http/inside_listener.hpp"

#include <memory>

namespace sandy::http::platform {

/// The door from inside one sandbox to the platform's services: connections that its gate captured become
/// sessions with the routes of the proxy.
class door final : public egress::platform_door {
public:
  /// @param server has a proxy, and outlives the door.
  door(context& server, std::shared_ptr<shard> home, sandbox_id inside);
  ~door() override;
  door(const door&) = delete;
  door& operator=(const door&) = delete;

  void take(relay::socket client) override;
  void cut() override { sessions_->cut(); }

private:
  context& server_;
  sandbox_id inside_;
  std::shared_ptr<inside_listener> sessions_;
};

} // namespace sandy::http::platform
