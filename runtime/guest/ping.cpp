#include "runtime/guest/ping.hpp"

#include "guest/protocol.hpp"
#include "runtime/unique_fd.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sandy::guest {

namespace {

caf::error silent() { return fail(errc::sandbox_failed, "The sandbox's first process does not answer"); }

/// The guest's answer to a question that is one frame without content and is answered by a `Reply`.
template <class Reply>
result<Reply> ask_blocking(const std::string& socket_path, frame_type question,
                           std::chrono::milliseconds timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(errc::internal, "The path of a guest's socket is too long");
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  runtime::unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return silent();
  std::string request;
  append_frame(request, question);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return silent();
  std::string answer;
  for (;;) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    pollfd readable{fd.get(), POLLIN, 0};
    auto ready = left > 0 ? ::poll(&readable, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return silent();
    char bytes[64];
    auto count = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (count <= 0)
      return silent();
    answer.append(bytes, static_cast<std::size_t>(count));
    raw_frame frame;
    switch (find_frame(answer, sizeof bytes, frame)) {
    case frame_search::incomplete:
      continue;
    case frame_search::too_large:
      return silent();
    case frame_search::found:
      break;
    }
    auto reply = decode<Reply>(frame.payload);
    if (static_cast<frame_type>(frame.type) != Reply::type || !reply)
      return silent();
    return *reply;
  }
}

} // namespace

result<void> ping_blocking(const std::string& socket_path, std::chrono::milliseconds timeout) {
  auto reply = ask_blocking<pong>(socket_path, frame_type::ping, timeout);
  if (!reply)
    return std::move(reply.error());
  if (reply->version != protocol_version)
    return fail(errc::sandbox_failed, "The sandbox's first process speaks another version");
  return caf::unit;
}

result<std::chrono::milliseconds> quiet_time_blocking(const std::string& socket_path,
                                                      std::chrono::milliseconds timeout) {
  auto reply = ask_blocking<quiet>(socket_path, frame_type::activity, timeout);
  if (!reply)
    return std::move(reply.error());
  // What a guest says is not to be trusted: it has not been quiet for longer than a year.
  constexpr std::uint64_t year = 365ull * 24 * 3600 * 1000;
  return std::chrono::milliseconds{std::min(reply->milliseconds, year)};
}

} // namespace sandy::guest
