#include "guest/connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace sandy::guest {

scratch_space& scratch() noexcept {
  static scratch_space space;
  return space;
}

void operation::on_frame(frame_type, std::string_view) {
  link_.fail(failure_kind::protocol, 0, "Unexpected frame");
}

connection::connection(event_loop& loop, unique_fd fd, operation_factory& factory)
    : loop_(loop)
    , factory_(factory)
    , fd_(std::move(fd))
    , registration_(loop, *this) {
  // The question is usually there already: looking for it now saves a round of the loop.
  receive();
  if (!closed_)
    update_interest();
}

void connection::on_events(std::uint32_t events) {
  if (closed_)
    return;
  if (events == 0) {
    turn_asked_ = false;
    if (operation_ && !finishing_)
      operation_->on_turn();
  } else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
    // The client is gone; frames it left behind are part of what it cancelled.
    close();
    return;
  }
  if (events & EPOLLOUT) {
    flush();
    if (!closed_ && !finishing_ && operation_ && out_.size() - sent_ < high_water / 2)
      operation_->on_writable();
  }
  if (!closed_ && (events & EPOLLIN))
    receive();
  if (!closed_)
    update_interest();
}

void connection::receive() {
  auto* bytes = scratch().bytes();
  auto count = read_socket(bytes);
  if (count > 0)
    take_frames({bytes, static_cast<std::size_t>(count)});
  else if (count == 0 || (errno != EAGAIN && errno != EINTR))
    close();
}

ssize_t connection::read_socket(char* bytes) {
  iovec piece{bytes, piece_bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof(int)); // room for one: the kernel closes others
  auto count = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const auto* part = count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
      part->cmsg_len == CMSG_LEN(sizeof(int))) {
    int passed = -1;
    std::memcpy(&passed, CMSG_DATA(part), sizeof passed);
    descriptor_.reset(passed);
  }
  return count;
}

void connection::take_frames(std::string_view fresh) {
  taking_ = true;    // an operation that lets go of its input meanwhile must not start a second walk over the
                     // same bytes
  in_.append(fresh); // a copy, because operations use the scratch space that `fresh` lies in
  std::string bytes;
  bytes.swap(in_);
  std::size_t used = 0;
  while (!closed_ && !finishing_ && !held_) {
    raw_frame frame;
    auto found = find_frame(std::string_view{bytes}.substr(used), max_request_payload, frame);
    if (found == frame_search::incomplete)
      break;
    if (found == frame_search::too_large) {
      close();
      break;
    }
    used += header_bytes + frame.payload.size();
    accept_frame(frame);
  }
  bytes.erase(0, used);
  if (!closed_ && !finishing_ && !bytes.empty())
    in_.swap(bytes);
  taking_ = false;
}

void connection::accept_frame(const raw_frame& frame) {
  auto type = static_cast<frame_type>(frame.type);
  if (operation_) {
    operation_->on_frame(type, frame.payload);
  } else if (!started_) {
    started_ = true;
    operation_ = factory_.start(*this, type, frame.payload);
  } else {
    fail(failure_kind::protocol, 0, "Unexpected frame");
  }
}

void connection::send(frame_type type, std::string_view bytes) {
  append_frame(out_, type, bytes);
  flush();
}

void connection::send_frame(std::string_view frame) {
  if (closed_)
    return;
  if (out_.empty()) {
    auto count = ::send(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0)
      frame.remove_prefix(static_cast<std::size_t>(count));
  }
  if (!frame.empty()) {
    out_.append(frame);
    flush();
  }
}

void connection::flush() {
  while (!closed_ && sent_ < out_.size()) {
    auto count = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      close();
      return;
    }
  }
  if (closed_)
    return;
  if (sent_ == out_.size()) {
    std::string{}.swap(out_); // memory at rest matters more than an allocation
    sent_ = 0;
    if (finishing_) {
      close();
      return;
    }
  } else if (sent_ > high_water) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  update_interest();
}

void connection::fail(failure_kind kind, int error, std::string_view subject) {
  // A frame to the server is bounded; the longest subject is a path.
  append_frame(out_, failure{kind, error, std::string{subject.substr(0, 8192)}});
  finish();
}

void connection::succeed() {
  append_frame(out_, frame_type::done);
  finish();
}

void connection::finish() {
  finishing_ = true;
  flush();
}

void connection::hold(bool held) {
  if (held == held_)
    return;
  held_ = held;
  if (!held && !taking_ && !in_.empty())
    take_frames({});
  if (!closed_)
    update_interest();
}

void connection::update_interest() {
  std::uint32_t wanted =
      EPOLLRDHUP; // never 0: a client that hangs up is noticed even while nothing is wanted from it
  if (!held_ && !finishing_)
    wanted |= EPOLLIN;
  if (sent_ < out_.size())
    wanted |= EPOLLOUT;
  if (!registration_.watch(fd_.get(), wanted))
    close();
}

void connection::close() {
  closed_ = true;
  registration_.watch(fd_.get(), 0);
}

} // namespace sandy::guest
