#include "http/platform/door.hpp"

#include "http/platform/proxy.hpp"
#include "runtime/entrance.hpp"

namespace sandy::http::platform {

door::door(context& server, std::shared_ptr<shard> home, sandbox_id inside)
    : server_(server)
    , inside_(std::move(inside))
    , sessions_(inside_listener::make(server_.platform->routes(), std::move(home))) {
  sessions_->start();
}

door::~door() { sessions_->close(); }

void door::take(relay::socket client) {
  // Who owns the sandbox may be known only since it left its pool.
  auto way = server_.entrances->find(inside_);
  if (way)
    sessions_->take(std::move(client), {way->tenant, inside_});
}

} // namespace sandy::http::platform
