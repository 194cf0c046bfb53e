#pragma once

#include "http/connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <utility>

namespace sandy::http {

/// A connection, plain or within TLS, as Asio and Beast want to use it (AsyncReadStream, AsyncWriteStream).
/// Has none of the connection's deadlines. Lives as long as the connection at most.
class connection_stream {
public:
  using executor_type = connection::socket::executor_type;
  explicit connection_stream(connection& link)
      : link_(link) {}

  connection& link() noexcept { return link_; }
  executor_type get_executor() noexcept { return link_.raw().get_executor(); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& into, Token&& token) {
    return start<Token>(reading{link_, first_of<boost::asio::mutable_buffer>(into)}, token);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& from, Token&& token) {
    return start<Token>(writing{link_, first_of<boost::asio::const_buffer>(from)}, token);
  }

private:
  using error = boost::system::error_code;

  /// The first of the buffers that holds anything.
  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& all) {
    auto end = boost::asio::buffer_sequence_end(all);
    for (auto each = boost::asio::buffer_sequence_begin(all); each != end; ++each)
      if (Buffer found{*each}; found.size() > 0)
        return found;
    return {};
  }

  struct reading {
    static constexpr auto readiness = connection::socket::wait_read;
    io_status attempt(std::size_t& count) {
      return link.receive(static_cast<char*>(into.data()), into.size(), count);
    }
    error closed() const {
      return link.ended() ? error{boost::asio::error::eof} : error{boost::asio::error::connection_reset};
    }

    connection& link;
    boost::asio::mutable_buffer into;
  };

  struct writing {
    static constexpr auto readiness = connection::socket::wait_write;
    io_status attempt(std::size_t& count) {
      auto status = link.send_some(rest);
      count = status == io_status::ok ? size : 0;
      return status;
    }
    error closed() const { return boost::asio::error::broken_pipe; }

    writing(connection& to, boost::asio::const_buffer from)
        : link(to)
        , rest{std::string_view{static_cast<const char*>(from.data()), from.size()}}
        , size(from.size()) {}
    connection& link;
    connection::pieces rest;
    std::size_t size;
  };

  /// Tries, and waits for the socket where it has to.
  template <class What>
  struct operation {
    template <class Self>
    void operator()(Self& self, error waited = {}) {
      if (waited)
        return self.complete(waited, 0);
      auto status = done ? io_status::ok : what.attempt(count);
      if (status == io_status::would_block) {
        begun = true;
        auto& socket = what.link.raw();
        return socket.async_wait(What::readiness, std::move(self));
      }
      if (status == io_status::closed)
        outcome = what.closed();
      done = true;
      if (std::exchange(begun, true))
        return self.complete(outcome, count);
      auto executor = what.link.raw().get_executor(); // who began it is not to be called from within
      boost::asio::post(executor, std::move(self));
    }

    What what;
    std::size_t count = 0;
    error outcome{};
    bool begun = false;
    bool done = false;
  };

  template <class Token, class What>
  auto start(What what, Token& token) {
    return boost::asio::async_compose<Token, void(error, std::size_t)>(operation<What>{std::move(what)},
                                                                       token, link_.raw());
  }

  connection& link_;
};

/// How Beast closes the socket of a WebSocket that came to nothing.
inline void beast_close_socket(connection_stream& stream) {
  boost::system::error_code ignored; // it is closed in any case
  stream.link().raw().close(ignored);
}

/// How Beast ends a WebSocket's stream: the other side is told, and has this time to take what was sent.
template <class Handler>
void async_teardown(boost::beast::role_type, connection_stream& stream, Handler&& handler) {
  constexpr std::chrono::milliseconds farewell{5'000};
  auto ended = [handler = std::forward<Handler>(handler)](const std::exception_ptr&) mutable {
    std::move(handler)(boost::system::error_code{});
  };
  boost::asio::co_spawn(stream.get_executor(), stream.link().close_gently(farewell), std::move(ended));
}

} // namespace sandy::http
