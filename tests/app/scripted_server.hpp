#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace sandy {

/// A server on a loopback port that gives each connection the next of its answers, byte for byte, and
/// remembers what it was asked. A connection without an answer left is closed.
class scripted_server {
public:
  struct answer {
    std::string bytes;
    bool wait_for_client = false; ///< keep the connection open until the client closes it
    bool at_once = false;         ///< answer as soon as the head has come, and close with the body unread
  };

  explicit scripted_server(std::vector<answer> answers, std::function<void(std::size_t)> on_answered = {})
      : answers_(std::move(answers))
      , on_answered_(std::move(on_answered)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) < 0 ||
        ::listen(listener_, 16) < 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) < 0)
      throw std::runtime_error("cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;
  ~scripted_server() { stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// Ends the server. @returns the requests in their order: head and body as sent.
  std::vector<std::string> stop() {
    if (thread_.joinable()) {
      ::shutdown(listener_, SHUT_RDWR);
      thread_.join();
      ::close(listener_);
    }
    return requests_;
  }

private:
  void serve() {
    for (std::size_t index = 0;; ++index) {
      int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0)
        return;
      requests_.push_back(read_request(client, index < answers_.size() && answers_[index].at_once));
      if (index < answers_.size()) {
        const auto& answer = answers_[index];
        for (std::size_t sent = 0; sent < answer.bytes.size();) {
          auto count = ::send(client, answer.bytes.data() + sent, answer.bytes.size() - sent, MSG_NOSIGNAL);
          if (count <= 0)
            break;
          sent += static_cast<std::size_t>(count);
        }
        if (on_answered_)
          on_answered_(index);
        char byte;
        while (answer.wait_for_client && ::read(client, &byte, 1) > 0) {
        }
      }
      ::close(client);
    }
  }

  /// Up to the end of the body, as its length or its chunks tell.
  static std::string read_request(int client, bool head_only) {
    std::string text;
    char buffer[65536];
    auto complete = [&text, head_only] {
      auto head = text.find("\r\n\r\n");
      if (head == std::string::npos)
        return false;
      if (head_only)
        return true;
      if (text.find("Transfer-Encoding: chunked") < head)
        return text.ends_with("0\r\n\r\n");
      auto length = text.find("Content-Length: ");
      return length > head || text.size() >= head + 4 + std::stoul(text.substr(length + 16));
    };
    while (!complete()) {
      auto count = ::read(client, buffer, sizeof buffer);
      if (count <= 0)
        break;
      text.append(buffer, static_cast<std::size_t>(count));
    }
    return text;
  }

  std::vector<answer> answers_;
  std::function<void(std::size_t)> on_answered_;
  std::vector<std::string> requests_;
  int listener_ = -1;
  unsigned port_ = 0;
  std::thread thread_;
};

} // namespace sandy
