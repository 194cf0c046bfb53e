#include "tests/runtime/inside.hpp"

#include "guest/protocol.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace sandy::test {

namespace {

using namespace sandy::guest;

class connection {
public:
  explicit connection(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      failure = std::string{"connect: "} + std::strerror(errno);
  }

  /// Sends one byte and a descriptor with it.
  void pass(char byte, int descriptor) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
    if (failure.empty() && ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != 1)
      failure = std::string{"sendmsg: "} + std::strerror(errno);
  }

  void send(std::string_view bytes) {
    while (failure.empty() && !bytes.empty()) {
      auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0)
        failure = std::string{"send: "} + std::strerror(errno);
      else
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// The next frame; its payload is valid until the next call. Sets `failure` when there is none.
  raw_frame receive(std::chrono::steady_clock::time_point deadline) {
    buffer_.erase(0, used_);
    used_ = 0;
    raw_frame frame;
    while (failure.empty() && find_frame(buffer_, max_reply_payload, frame) != frame_search::found) {
      auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd item{socket_.get(), POLLIN, 0};
      char piece[65536];
      if (left.count() <= 0 || ::poll(&item, 1, static_cast<int>(left.count())) != 1)
        failure = "the guest does not answer";
      else if (auto count = ::recv(socket_.get(), piece, sizeof piece, 0); count <= 0)
        failure = "the guest closed the connection";
      else
        buffer_.append(piece, static_cast<std::size_t>(count));
    }
    used_ = header_bytes + frame.payload.size();
    return frame;
  }

  std::string failure;

private:
  runtime::unique_fd socket_;
  std::string buffer_;
  std::size_t used_ = 0;
};

command_outcome run(const runtime::instance& where, const std::string& script,
                    std::chrono::milliseconds timeout, std::uint8_t flags, int group) {
  connection guest{where.guest_socket};
  spawn_request request;
  request.flags = flags;
  request.directory = "/";
  request.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                 "LANG=C.UTF-8"};
  request.timeout_ms = static_cast<std::uint64_t>(timeout.count());
  request.ring_bytes = 1 << 20;
  std::string frames;
  if (group >= 0)
    append_frame(frames, group_request{request});
  else
    append_frame(frames, request);
  append_frame(frames, frame_type::data, script);
  append_frame(frames, frame_type::end);
  if (group >= 0)
    guest.pass(frames.front(), group);
  guest.send(std::string_view{frames}.substr(group >= 0 ? 1 : 0));

  command_outcome outcome;
  auto deadline = std::chrono::steady_clock::now() + timeout + std::chrono::seconds{5};
  for (bool done = false; !done;) {
    auto frame = guest.receive(deadline);
    if (!guest.failure.empty())
      break;
    switch (static_cast<frame_type>(frame.type)) {
    case frame_type::started:
      break;
    case frame_type::process_entry:
      done = true;
      break; // the answer to a start in the background
    case frame_type::chunk: {
      auto from = static_cast<stream_id>(frame.payload.at(0));
      (from == stream_id::standard_error ? outcome.errors : outcome.output) +=
          frame.payload.substr(chunk_head::size);
      break;
    }
    case frame_type::exited: {
      auto exit = decode<exited>(frame.payload);
      outcome.exit_code = exit ? exit->exit_code : -1;
      outcome.timed_out = exit && exit->timed_out;
      done = true;
      break;
    }
    case frame_type::failed: {
      auto failed = decode<failure>(frame.payload);
      guest.failure =
          failed ? "the guest refused: " + failed->subject + " " + std::strerror(failed->error) : "?";
      break;
    }
    default:
      guest.failure = "unexpected frame " + std::to_string(frame.type);
    }
  }
  outcome.failure = guest.failure;
  return outcome;
}

} // namespace

command_outcome run_inside(const runtime::instance& where, const std::string& script,
                           std::chrono::milliseconds timeout) {
  return run(where, script, timeout, 0, -1);
}

command_outcome start_inside(const runtime::instance& where, const std::string& script, int group) {
  return run(where, script, std::chrono::minutes{10}, spawn_request::background, group);
}

} // namespace sandy::test
