#include "http/watch_peer.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace sandy::http {

void watch_peer(int socket) noexcept {
  constexpr int on = 1, idle_seconds = 60, interval_seconds = 30;
  auto set = [socket](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, on);
  set(IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, interval_seconds);
}

} // namespace sandy::http
