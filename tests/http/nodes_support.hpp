#pragma once

#include "http/client_support.hpp"
#include "http/nodes/credentials.hpp"
#include "http/tls_stream.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>

namespace sandy::tests {

/// A cluster's certificate authority, and the files of its nodes; all are gone with it.
class node_authority {
public:
  node_authority();
  node_authority(const node_authority&) = delete;
  ~node_authority();

  /// Issues a certificate. @returns what its files are called: "<this>.crt", "<this>.key".
  std::string issue(const std::string& name, long valid_seconds = 3600);
  /// Of a node with a fresh certificate.
  std::shared_ptr<http::nodes::credentials> node(const std::string& name = "node");

  std::string file; ///< the authority's certificate

private:
  struct freed {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  };
  std::filesystem::path folder_;
  std::unique_ptr<EVP_PKEY, freed> key_;
  std::unique_ptr<X509, freed> certificate_;
};

/// Both ends of a TCP connection, on one thread: the test's.
class linked_pair {
public:
  linked_pair();

  /// Both greet: `far` as the server.
  struct outcome {
    result<void> near;
    result<void> far;
  };
  outcome greet(http::tls_stream::made client, http::tls_stream::made server,
                std::chrono::milliseconds timeout = 5s);
  /// The same, with the credentials of one node each.
  outcome greet(http::nodes::credentials& client, http::nodes::credentials& server);

  client_shard world;
  std::unique_ptr<http::connection> near;
  std::unique_ptr<http::connection> far;
};

/// Everything up to the end, by way of the buffer.
io_task<std::string> read_to_end(http::connection& from);
/// Exactly so much, or what came before the end; straight from the connection.
io_task<std::string> read_bytes(http::connection& from, std::size_t count);

} // namespace sandy::tests
