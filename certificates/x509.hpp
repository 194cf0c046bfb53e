#pragma once

#include "messages/error.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace sandy::certificates {

struct openssl_deleter {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
using key_owner = std::unique_ptr<EVP_PKEY, openssl_deleter>;
using certificate_owner = std::unique_ptr<X509, openssl_deleter>;

/// "what: OpenSSL's words", as internal. Takes OpenSSL's errors of this thread away.
caf::error openssl_failure(const std::string& what);

// What follows is empty, or false, after a failure; `openssl_failure` then says which. One chain of && makes
// a certificate.

/// A new key on the curve P-256.
key_owner make_key();

/// A certificate, not yet signed: version 3, a random serial number (RFC 5280, section 4.1.2.2), the key, and
/// "O=Sandy, CN=name". @param name at most 64 bytes.
certificate_owner draft(EVP_PKEY* key, const std::string& name);

/// @param kind a NID; @param value as in OpenSSL's configuration files (x509v3_config(5)): never with a text
/// in it that may have a comma. @param issuer its certificate; the certificate itself when it signs itself.
bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value);

/// What strict verifiers, such as Python's, expect of an authority that signs itself; it vouches for no
/// other authorities.
bool describe_authority(X509* certificate);

/// What they expect of a host. @param uses its extended key usages, as "serverAuth". @param host a host name
bool describe_host(X509* certificate, X509* issuer, const std::string& uses, const std::string& host);

std::string pem_of(X509* certificate);
std::string pem_of(EVP_PKEY* key); ///< not encrypted
/// The first one in a text. Nobody is asked for the password of an encrypted key: it cannot be read.
certificate_owner read_certificate(const std::string& pem);
key_owner read_key(const std::string& pem);

} // namespace sandy::certificates
