#include "http/egress/certificate_authority.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <set>

namespace sandy::http::egress {

namespace {

constexpr long valid_days = 3650;
// Clocks of a sandbox and of its server are the same; an hour forgives what programs make of them.
constexpr long backdated_seconds = 3600;

struct bio_deleter {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using bio_owner = std::unique_ptr<BIO, bio_deleter>;

caf::error openssl_failure(const char* what) {
  std::array<char, 256> words{};
  ERR_error_string_n(ERR_get_error(), words.data(), words.size());
  ERR_clear_error(); // what is left would be blamed on the next one who looks
  return fail(errc::internal, std::string{what} + ": " + words.data());
}

key_owner make_key() { return key_owner{EVP_EC_gen("P-256")}; }

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    return false;
  bytes[0] &= 0x7f; // positive
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number{
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), BN_free};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> made{
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), X509_EXTENSION_free};
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool name_subject(X509* certificate, const char* name) {
  auto* subject = X509_get_subject_name(certificate);
  auto add = [&](const char* field, const char* text) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text), -1, -1, 0) == 1;
  };
  return add("O", "Sandy") && add("CN", name);
}

std::string constraints(const std::vector<host_pattern>& hosts) {
  std::set<std::string> names;
  for (const auto& host : hosts)
    names.insert(host.name);
  std::string text = "critical";
  for (const auto& name : names)
    text += ",permitted;DNS:" + name;
  return text;
}

template <class Write>
std::string pem(Write write) {
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

} // namespace

result<authority_keys> make_authority(const std::vector<host_pattern>& hosts) {
  auto key = make_key();
  certificate_owner made{X509_new()};
  auto* it = made.get();
  auto good = key && made && X509_set_version(it, X509_VERSION_3) == 1 && set_random_serial(it) &&
              X509_gmtime_adj(X509_getm_notBefore(it), -backdated_seconds) != nullptr &&
              X509_time_adj_ex(X509_getm_notAfter(it), valid_days, 0, nullptr) != nullptr &&
              name_subject(it, "Sandy secrets of one sandbox") &&
              X509_set_issuer_name(it, X509_get_subject_name(it)) == 1 && X509_set_pubkey(it, key.get()) == 1;
  // What strict verifiers, such as Python's, insist on.
  good = good && add_extension(it, it, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(it, it, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         add_extension(it, it, NID_subject_key_identifier, "hash") &&
         add_extension(it, it, NID_name_constraints, constraints(hosts)) &&
         X509_sign(it, key.get(), EVP_sha256()) > 0;
  if (!good)
    return openssl_failure("Cannot make a certificate authority");
  authority_keys keys;
  keys.certificate = pem([&](BIO* to) { return PEM_write_bio_X509(to, it); });
  keys.key.bytes = pem([&](BIO* to) {
    return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (keys.certificate.empty() || keys.key.bytes.empty())
    return openssl_failure("Cannot write down a certificate authority");
  return keys;
}

result<certificate_authority> certificate_authority::from(const authority_keys& keys) {
  certificate_authority made;
  auto certificate = reading(keys.certificate);
  auto key = reading(keys.key.bytes);
  made.certificate_.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  made.authority_key_.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  made.leaf_key_ = make_key();
  if (!made.certificate_ || !made.authority_key_ || !made.leaf_key_ ||
      X509_check_private_key(made.certificate_.get(), made.authority_key_.get()) != 1)
    return openssl_failure("The certificate authority cannot be used");
  return made;
}

result<certificate_owner> certificate_authority::issue(std::string_view host) const {
  if (!is_host_name(host)) // the text below would take a comma for the next name
    return fail(errc::internal, "No certificate is issued for what is no host name");
  certificate_owner made{X509_new()};
  auto* it = made.get();
  auto* issuer = certificate_.get();
  auto good = made && X509_set_version(it, X509_VERSION_3) == 1 && set_random_serial(it) &&
              X509_set1_notBefore(it, X509_get0_notBefore(issuer)) == 1 &&
              X509_set1_notAfter(it, X509_get0_notAfter(issuer)) == 1 && name_subject(it, "Sandy") &&
              X509_set_issuer_name(it, X509_get_subject_name(issuer)) == 1 &&
              X509_set_pubkey(it, leaf_key_.get()) == 1;
  good = good && add_extension(it, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(it, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(it, issuer, NID_ext_key_usage, "serverAuth") &&
         add_extension(it, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(it, issuer, NID_authority_key_identifier, "keyid:always") &&
         add_extension(it, issuer, NID_subject_alt_name, "DNS:" + std::string{host}) &&
         X509_sign(it, authority_key_.get(), EVP_sha256()) > 0;
  if (!good)
    return openssl_failure("Cannot issue a certificate");
  return made;
}

} // namespace sandy::http::egress
