#include "runtime/docker/engine.hpp"

#include "runtime/unique_fd.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace sandy::runtime::docker {

namespace {

namespace http = boost::beast::http;

/// An answer may list thousands of containers, at about a kilobyte each.
constexpr std::uint64_t longest_answer = 64 << 20;
constexpr std::uint32_t retry_after_seconds = 5;

caf::error silent(const char* how) {
  return fail_for_now(errc::capacity_exhausted, std::string{"Docker's engine "} + how, retry_after_seconds);
}

/// How often whoever waits is asked whether to go on.
constexpr std::chrono::milliseconds glance{500};

bool ready(int fd, short events, steady_time deadline) {
  for (;;) {
    pollfd item{fd, events, 0};
    auto count = ::poll(&item, 1, milliseconds_until(deadline));
    if (count < 0 && errno == EINTR)
      continue;
    return count == 1;
  }
}

/// One connection, one question.
class exchange {
public:
  exchange(const std::string& path, steady_time deadline, std::function<bool()> go_on = {})
      : deadline_(deadline)
      , go_on_(std::move(go_on)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
      return;
    path.copy(address.sun_path, path.size());
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket_ && ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      socket_.reset();
  }

  bool connected() const noexcept { return static_cast<bool>(socket_); }

  bool await(int fd, short events) const {
    if (!go_on_)
      return ready(fd, events, deadline_);
    for (;;) {
      if (!go_on_())
        return false;
      const auto now = std::chrono::steady_clock::now();
      if (ready(fd, events, std::min(deadline_, now + glance)))
        return true;
      if (now >= deadline_)
        return false;
    }
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN && await(socket_.get(), POLLOUT))
        continue;
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  bool send_chunk(std::string_view bytes) {
    char size[20] = {};
    std::to_chars(size, size + 16, bytes.size(), 16);
    return send(size + std::string{"\r\n"}) && send(bytes) && send("\r\n");
  }

  result<engine_answer> answer() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(longest_answer);
    parser.eager(true);
    boost::beast::flat_buffer buffer;
    while (!parser.is_done()) {
      if (!await(socket_.get(), POLLIN))
        return silent("does not answer in time");
      constexpr std::size_t piece = 64 * 1024;
      auto space = buffer.prepare(piece);
      auto count = ::recv(socket_.get(), space.data(), space.size(), 0);
      if (count < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      boost::system::error_code error;
      if (count > 0) {
        buffer.commit(static_cast<std::size_t>(count));
        buffer.consume(parser.put(buffer.data(), error));
        if (error == http::error::need_more)
          continue;
      } else {
        if (parser.is_header_done()) // else Beast takes nothing at all for an empty answer
          parser.put_eof(error);
        if (!error && !parser.is_done())
          error = http::error::partial_message;
      }
      if (error)
        return fail(errc::internal, "What answers as Docker's engine does not speak as one");
    }
    auto message = parser.release();
    return engine_answer{message.result_int(), nlohmann::json::parse(message.body(), nullptr, false),
                         std::string{message[http::field::server]}};
  }

private:
  unique_fd socket_;
  steady_time deadline_;
  std::function<bool()> go_on_; ///< empty: nobody asks
};

std::string head(const char* method, const std::string& target, const std::string& rest) {
  return std::string{method} + " " + target + " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n" + rest +
         "\r\n";
}

} // namespace

std::string engine_answer::message() const {
  std::string text;
  if (auto found = body.is_object() ? body.find("message") : body.end();
      body.is_object() && found != body.end() && found->is_string())
    text = found->get<std::string>();
  for (auto& c : text)
    if (std::iscntrl(static_cast<unsigned char>(c)) != 0)
      c = ' ';
  constexpr std::size_t most = 300;
  if (text.size() > most)
    text.resize(most);
  return text.empty() ? "status " + std::to_string(status) : text;
}

result<engine_answer> engine::ask(const char* method, const std::string& target, const nlohmann::json& body,
                                  steady_time deadline) const {
  exchange link{socket_, deadline};
  if (!link.connected())
    return silent("cannot be reached");
  auto text = body.is_null() ? std::string{} : body.dump();
  auto about = "Content-Length: " + std::to_string(text.size()) + "\r\n" +
               (text.empty() ? "" : "Content-Type: application/json\r\n");
  if (!link.send(head(method, target, about) + text))
    return silent("does not take a request");
  return link.answer();
}

result<engine_answer> engine::upload(const std::string& target, int from, steady_time deadline,
                                     std::function<bool()> go_on) const {
  exchange link{socket_, deadline, std::move(go_on)};
  if (!link.connected())
    return silent("cannot be reached");
  bool sent =
      link.send(head("POST", target, "Transfer-Encoding: chunked\r\nContent-Type: application/x-tar\r\n"));
  std::string piece(256 * 1024, '\0');
  while (sent) {
    if (!link.await(from, POLLIN))
      return fail(errc::internal, "an image could not be read in time");
    auto count = ::read(from, piece.data(), piece.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fail(errc::internal, "an image could not be read");
    if (count == 0)
      break;
    sent = link.send_chunk({piece.data(), static_cast<std::size_t>(count)});
  }
  // An engine that has had enough answers before it has everything.
  if (sent && !link.send("0\r\n\r\n"))
    return silent("does not take an image");
  return link.answer();
}

std::string encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text)
    if (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~')
      out += static_cast<char>(c);
    else
      out.append({'%', digits[c >> 4], digits[c & 15]});
  return out;
}

} // namespace sandy::runtime::docker
