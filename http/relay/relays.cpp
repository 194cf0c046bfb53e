#include "http/relay/relays.hpp"

#include "http/relay/door.hpp"
#include "metrics/log.hpp"

#include <boost/asio/post.hpp>

namespace sandy::http::relay {

std::shared_ptr<runtime::relay_door> relays::open(runtime::connection_capture captured, std::string label) {
  auto& home = *contexts_[next_.fetch_add(1, std::memory_order_relaxed) % contexts_.size()];
  auto made = door::make(home, std::move(captured), label, open_);
  if (!made) {
    log_event(log_level::error, "relay_not_opened", {{"sandbox_id", label}, {"what", text_of(made.error())}});
    return nullptr;
  }
  (*made)->post([door = *made] { door->start(); });
  auto* address = made->get();
  return {address, [door = std::move(*made)](runtime::relay_door*) mutable {
            auto& thread = *door;
            thread.post([door = std::move(door)] { door->close(); });
          }};
}

} // namespace sandy::http::relay
