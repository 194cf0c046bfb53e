#include "http/nodes/refusals.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <sys/socket.h>

#include <array>
#include <string>

// What stands between CAF's connections of nodes and OpenSSL. CAF 0.17.6 asks SSL_get_error what became of a
// call without having emptied the thread's queue of errors, as OpenSSL wants it: whatever broke one
// connection is found there by the next operation of any other one, which CAF then drops as well. These
// functions take the place of OpenSSL's for the whole program, and call them after emptying the queue. CAF
// also drops whoever it refuses without a word: that is said here.

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::string peer_of(SSL* side) {
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  if (::getpeername(SSL_get_fd(side), reinterpret_cast<sockaddr*>(&where), &size) != 0)
    return "unknown";
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* address = where.ss_family == AF_INET6
                            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6&>(where).sin6_addr)
                            : static_cast<const void*>(&reinterpret_cast<sockaddr_in&>(where).sin_addr);
  return ::inet_ntop(where.ss_family, address, text.data(), text.size()) != nullptr ? text.data() : "unknown";
}

/// Of CAF's connections alone: our own give OpenSSL no descriptor. One that only looked whether the port is
/// open and went is nobody.
void tell_refusal(SSL* side) {
  const auto code = ERR_peek_error();
  if (SSL_get_fd(side) < 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return;
  static sandy::http::nodes::refusals told;
  const auto verified = SSL_get_verify_result(side);
  const auto* reason = ERR_reason_error_string(code);
  told.tell(peer_of(side), verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                           : reason != nullptr   ? reason
                                                 : "the connection broke");
}

} // namespace

extern "C" {

int SSL_accept(SSL* side) {
  static auto* const real = next<int(SSL*)>("SSL_accept");
  ERR_clear_error();
  auto done = real(side);
  if (done <= 0 && SSL_get_error(side, done) == SSL_ERROR_SSL)
    tell_refusal(side);
  return done;
}

int SSL_connect(SSL* side) {
  static auto* const real = next<int(SSL*)>("SSL_connect");
  ERR_clear_error();
  return real(side);
}

int SSL_read(SSL* side, void* into, int size) {
  static auto* const real = next<int(SSL*, void*, int)>("SSL_read");
  ERR_clear_error();
  return real(side, into, size);
}

int SSL_write(SSL* side, const void* from, int size) {
  static auto* const real = next<int(SSL*, const void*, int)>("SSL_write");
  ERR_clear_error();
  return real(side, from, size);
}

} // extern "C"
