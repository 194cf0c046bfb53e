#pragma once

#include "http/egress/intercepted_connection.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <openssl/ssl.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

namespace sandy::testing {

/// Two ends of a TCP connection on loopback; blocking, and giving up after 20 s, so that no test hangs.
struct tcp_pair {
  tcp_pair();
  int ours = -1;   ///< for whoever gets it
  int theirs = -1; ///< for whoever gets it
};

/// One end of a TLS connection, used with blocking calls on one thread. Owns its socket.
class tls_end {
public:
  /// A server that shows a certificate of `authority` for `host`.
  static std::unique_ptr<tls_end> server(int socket, const authority_keys& authority,
                                         const std::string& host);
  /// A client that trusts `trusted` alone. @param protocols offered, as TLS writes them.
  static std::unique_ptr<tls_end> client(int socket, const std::string& trusted, const std::string& host,
                                         const std::string& protocols = {});
  /// Neither: bytes as they are.
  static std::unique_ptr<tls_end> plain(int socket);
  ~tls_end();

  bool shake_hands();
  bool write(std::string_view bytes);
  /// Reads until `end` came, or nothing more does.
  std::string read_to(std::string_view end);
  /// Reads until nothing more comes. @returns whether the end was announced.
  bool read_all(std::string& into);
  void say_goodbye();
  /// What both agreed on, e.g. "http/1.1".
  std::string protocol() const;
  const SSL* handle() const noexcept { return ssl_; }

private:
  explicit tls_end(int socket)
      : socket_(socket) {}
  int some(char* into, int size);

  int socket_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

/// A relayed connection between a sandbox and a host, both played by the test.
class relayed_with_secrets {
public:
  /// @param trusted_by_server certificates in PEM.
  relayed_with_secrets(sandbox_secrets secrets, const std::string& trusted_by_server, std::string host,
                       bool tls, std::uint64_t most_bytes = UINT64_MAX);
  ~relayed_with_secrets();

  int sandbox_socket() const noexcept { return near_.theirs; }
  int host_socket() const noexcept { return far_.theirs; }
  /// Begins to relay. @param begun what was read from the sandbox already.
  void start(std::string begun = {});
  /// Waits for the end.
  http::egress::interception_outcome outcome();
  void cut();

private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy_{io_.get_executor()};
  std::thread thread_;
  tcp_pair near_, far_;
  http::egress::intercepted_connection what_;
  std::shared_ptr<http::relay::relayed> pair_;
  std::future<http::egress::interception_outcome> outcome_;
};

} // namespace sandy::testing
