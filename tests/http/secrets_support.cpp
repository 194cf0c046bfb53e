#include "secrets_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace sandy::testing {

namespace {

void require(bool promise, const char* what) {
  if (!promise)
    throw std::runtime_error(what);
}

void be_patient(int socket) {
  timeval patience{20, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/// A file that is there while its name is needed.
struct short_lived_file {
  explicit short_lived_file(const std::string& text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "sandy-test-XXXXXX").string();
    auto fd = ::mkstemp(pattern.data());
    require(fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "no file");
    ::close(fd);
    path = pattern;
  }
  ~short_lived_file() { std::filesystem::remove(path); }
  std::string path;
};

} // namespace

tcp_pair::tcp_pair() {
  ::signal(SIGPIPE, SIG_IGN); // OpenSSL writes to sockets that the other end has closed
  auto listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  require(::bind(listener, where, size) == 0 && ::listen(listener, 1) == 0 &&
              ::getsockname(listener, where, &size) == 0,
          "no listener");
  theirs = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  require(::connect(theirs, where, size) == 0, "no connection");
  ours = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  require(ours >= 0, "nothing accepted");
  ::close(listener);
  be_patient(theirs);
}

std::unique_ptr<tls_end> tls_end::plain(int socket) { return std::unique_ptr<tls_end>{new tls_end(socket)}; }

std::unique_ptr<tls_end> tls_end::server(int socket, const authority_keys& authority,
                                         const std::string& host) {
  auto made = plain(socket);
  auto signs = http::egress::certificate_authority::from(authority);
  require(static_cast<bool>(signs), "no authority");
  auto certificate = signs->issue(host);
  require(static_cast<bool>(certificate), "no certificate");
  made->context_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_options(made->context_, SSL_OP_IGNORE_UNEXPECTED_EOF); // as web servers do
  SSL_CTX_use_certificate(made->context_, certificate->get());
  SSL_CTX_use_PrivateKey(made->context_, signs->key());
  made->ssl_ = SSL_new(made->context_);
  SSL_set_fd(made->ssl_, socket);
  SSL_set_accept_state(made->ssl_);
  return made;
}

std::unique_ptr<tls_end> tls_end::client(int socket, const std::string& trusted, const std::string& host,
                                         const std::string& protocols) {
  auto made = plain(socket);
  made->context_ = SSL_CTX_new(TLS_client_method());
  auto* bio = BIO_new_mem_buf(trusted.data(), static_cast<int>(trusted.size()));
  auto* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(made->context_), certificate);
  X509_free(certificate);
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(made->context_), X509_V_FLAG_X509_STRICT);
  SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, nullptr);
  made->ssl_ = SSL_new(made->context_);
  SSL_set_tlsext_host_name(made->ssl_, host.c_str());
  SSL_set1_host(made->ssl_, host.c_str());
  if (!protocols.empty())
    SSL_set_alpn_protos(made->ssl_, reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned>(protocols.size()));
  SSL_set_fd(made->ssl_, socket);
  SSL_set_connect_state(made->ssl_);
  return made;
}

tls_end::~tls_end() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
  ::close(socket_);
}

bool tls_end::shake_hands() { return SSL_do_handshake(ssl_) == 1; }

bool tls_end::write(std::string_view bytes) {
  while (!bytes.empty()) {
    auto size = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                : static_cast<int>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    if (size <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

int tls_end::some(char* into, int size) {
  return ssl_ != nullptr ? SSL_read(ssl_, into, size)
                         : static_cast<int>(::recv(socket_, into, static_cast<std::size_t>(size), 0));
}

std::string tls_end::read_to(std::string_view end) {
  std::string all;
  for (char c = 0; !all.ends_with(end) && some(&c, 1) == 1;)
    all.push_back(c);
  return all;
}

bool tls_end::read_all(std::string& into) {
  std::array<char, 16384> piece{};
  for (;;) {
    auto size = some(piece.data(), piece.size());
    if (size <= 0)
      return ssl_ != nullptr ? SSL_get_error(ssl_, size) == SSL_ERROR_ZERO_RETURN : size == 0;
    into.append(piece.data(), static_cast<std::size_t>(size));
  }
}

void tls_end::say_goodbye() {
  if (ssl_ != nullptr)
    SSL_shutdown(ssl_);
  ::shutdown(socket_, SHUT_WR);
}

std::string tls_end::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

relayed_with_secrets::relayed_with_secrets(sandbox_secrets secrets, const std::string& trusted_by_server,
                                           std::string host, bool tls, std::uint64_t most_bytes) {
  short_lived_file trusted{trusted_by_server};
  auto sides = http::egress::tls_sides::make(trusted.path);
  auto at_work = http::egress::interception::make(std::move(secrets));
  require(sides && at_work, "secrets cannot be used");
  using socket = http::relay::socket;
  pair_ = std::make_shared<http::relay::relayed>(
      socket{io_.get_executor(), boost::asio::ip::tcp::v4(), near_.ours});
  pair_->far.assign(boost::asio::ip::tcp::v4(), far_.ours);
  auto left = std::make_shared<std::uint64_t>(most_bytes);
  auto count = [left](std::size_t size) {
    auto enough = size <= *left;
    *left -= std::min<std::uint64_t>(size, *left);
    return enough;
  };
  what_ = {pair_,
           *at_work,
           tls ? *sides : nullptr,
           std::move(host),
           static_cast<std::uint16_t>(tls ? 443 : 80),
           {},
           count,
           count};
}

void relayed_with_secrets::start(std::string begun) {
  what_.begun = std::move(begun);
  outcome_ =
      boost::asio::co_spawn(io_, http::egress::relay_with_secrets(std::move(what_)), boost::asio::use_future);
  thread_ = std::thread{[this] { io_.run(); }};
}

http::egress::interception_outcome relayed_with_secrets::outcome() {
  require(outcome_.wait_for(std::chrono::seconds{60}) == std::future_status::ready, "it does not end");
  return outcome_.get();
}

void relayed_with_secrets::cut() {
  boost::asio::post(io_, [pair = pair_] { pair->cut(); });
}

relayed_with_secrets::~relayed_with_secrets() {
  cut();
  busy_.reset();
  if (thread_.joinable())
    thread_.join();
}

} // namespace sandy::testing
