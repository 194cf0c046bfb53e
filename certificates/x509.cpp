#include "certificates/x509.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>

namespace sandy::certificates {

namespace {

struct bio_deleter {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using bio_owner = std::unique_ptr<BIO, bio_deleter>;

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    return false;
  bytes[0] &= 0x7f; // positive
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number{
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), BN_free};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool name_subject(X509* certificate, const std::string& name) {
  auto* subject = X509_get_subject_name(certificate);
  auto add = [&](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  return add("O", "Sandy") && add("CN", name);
}

template <class Write>
std::string written(Write write) {
  bio_owner bio{BIO_new(BIO_s_mem())};
  if (!bio || write(bio.get()) != 1)
    return {};
  char* text = nullptr;
  auto size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

bio_owner reading(const std::string& text) {
  return bio_owner{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// Without it OpenSSL asks at the terminal, and waits there.
int no_password(char*, int, int, void*) { return -1; }

} // namespace

caf::error openssl_failure(const std::string& what) {
  std::array<char, 256> words{};
  ERR_error_string_n(ERR_get_error(), words.data(), words.size());
  ERR_clear_error(); // what is left would be blamed on the next one who looks
  return fail(errc::internal, what + ": " + words.data());
}

key_owner make_key() { return key_owner{EVP_EC_gen("P-256")}; }

certificate_owner draft(EVP_PKEY* key, const std::string& name) {
  certificate_owner made{X509_new()};
  auto* it = made.get();
  auto good = key && made && X509_set_version(it, X509_VERSION_3) == 1 && set_random_serial(it) &&
              name_subject(it, name) && X509_set_pubkey(it, key) == 1;
  if (!good)
    made.reset();
  return made;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> made{
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), X509_EXTENSION_free};
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool describe_authority(X509* certificate) {
  return add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
}

bool describe_host(X509* certificate, X509* issuer, const std::string& uses, const std::string& host) {
  return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, issuer, NID_ext_key_usage, uses) &&
         add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
         add_extension(certificate, issuer, NID_subject_alt_name, "DNS:" + host);
}

std::string pem_of(X509* certificate) {
  return written([&](BIO* to) { return PEM_write_bio_X509(to, certificate); });
}

std::string pem_of(EVP_PKEY* key) {
  return written(
      [&](BIO* to) { return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

certificate_owner read_certificate(const std::string& pem) {
  auto from = reading(pem);
  return certificate_owner{PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr)};
}

key_owner read_key(const std::string& pem) {
  auto from = reading(pem);
  return key_owner{PEM_read_bio_PrivateKey(from.get(), nullptr, no_password, nullptr)};
}

} // namespace sandy::certificates
