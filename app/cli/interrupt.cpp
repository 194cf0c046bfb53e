#include "app/cli/interrupt.hpp"

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace sandy::cli {

namespace {

std::atomic<int> arrived{0};
std::atomic<int> watched{-1};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void on_signal(int signal) {
  auto kept = errno;
  arrived = signal;
  if (int fd = watched; fd >= 0)
    ::shutdown(fd, SHUT_RDWR);
  errno = kept;
}

} // namespace

void install_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND; // who insists gets their way
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int interrupted() noexcept { return arrived; }
int take_interrupt() noexcept { return arrived.exchange(0); }

watched_socket::watched_socket(int fd) noexcept { watched = fd; }
watched_socket::~watched_socket() { watched = -1; }

} // namespace sandy::cli
