#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sandy::tests {

bool application_link::fill() {
  char bytes[65536];
  auto got = ::recv(socket_, bytes, sizeof bytes, 0);
  if (got > 0)
    buffer_.append(bytes, static_cast<std::size_t>(got));
  return got > 0;
}

std::string application_link::head() {
  while (buffer_.find("\r\n\r\n") == std::string::npos)
    if (!fill())
      return {};
  auto text = buffer_.substr(0, buffer_.find("\r\n\r\n") + 4);
  buffer_.erase(0, text.size());
  return text;
}

std::string application_link::bytes(std::size_t count) {
  while (buffer_.size() < count && fill()) {
  }
  auto text = buffer_.substr(0, count);
  buffer_.erase(0, text.size());
  return text;
}

bool application_link::send(std::string_view bytes) { return send_all(socket_, bytes); }

void application_link::shutdown_write() { ::shutdown(socket_, SHUT_WR); }

void application_link::reset() {
  linger hard{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

scripted_application::scripted_application(script each) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  if (::bind(listener_, address, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, address, &size) != 0)
    throw std::runtime_error("cannot listen on loopback");
  port = ntohs(where.sin_port);
  acceptor_ = std::thread{[this, each = std::move(each)] {
    for (;;) {
      auto client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0)
        return;
      timeval patience{20, 0};
      ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      std::scoped_lock lock{mutex_};
      open_.push_back(client);
      ++accepted;
      threads_.emplace_back([this, each, client] {
        application_link link{client};
        each(link);
        std::scoped_lock closing{mutex_};
        std::erase(open_, client);
        ::close(client);
      });
    }
  }};
}

scripted_application::~scripted_application() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    std::scoped_lock lock{mutex_};
    for (auto each : open_)
      ::shutdown(each, SHUT_RDWR);
  }
  for (auto& each : threads_)
    each.join();
  ::close(listener_);
}

scripted_application::script scripted_application::always(std::string answer) {
  return [answer = std::move(answer)](application_link& link) {
    while (!link.head().empty() && link.send(answer)) {
    }
  };
}

ingress_engine::ingress_engine(std::uint16_t runtime_port, std::vector<std::uint16_t> exposed,
                               std::vector<std::uint16_t> closed, http::edge_limits limits)
    : edge(limits)
    , entrance(std::make_shared<runtime::entrance>()) {
  entrance->id = guest_id;
  entrance->tenant = tenant_id{"acme"};
  entrance->runtime_port = runtime_port;
  entrance->exposed_ports = std::move(exposed);
  entrance->private_ports = std::move(closed);
  entrance->uses = std::make_shared<guest::activity>();
  entrance->state = runtime::entrance_state::open;
  entrance->sockets = [](int family) -> io_task<result<runtime::unique_fd>> {
    co_return runtime::unique_fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  };
  edge.entrances.open(entrance);
}

std::string ingress_engine::get(const std::string& target, const std::string& extra) {
  return "GET " + target + " HTTP/1.1\r\nHost: " + guest_id.value + ".sandy.localhost\r\n" + extra + "\r\n";
}

response ingress_engine::ask(const std::string& request, bool head) {
  raw_client client{edge.port};
  REQUIRE(client.send(request));
  return client.receive(head);
}

} // namespace sandy::tests
