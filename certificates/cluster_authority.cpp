#include "certificates/cluster_authority.hpp"

#include "messages/network_rule.hpp"

#include <openssl/asn1.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

namespace sandy::certificates {

namespace {

constexpr const char* authority_name = "Sandy cluster authority";
// Longer than clocks without a time server are off in practice; what was issued just now must work at once.
constexpr long backdated_seconds = 10 * 60;

bool set_validity(X509* certificate, int days) {
  return X509_gmtime_adj(X509_getm_notBefore(certificate), -backdated_seconds) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, nullptr) != nullptr;
}

std::string last_day_of(const X509* certificate) {
  std::tm time{};
  std::array<char, 16> text{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1)
    std::strftime(text.data(), text.size(), "%Y-%m-%d", &time);
  return text.data();
}

result<certified_key> texts_of(X509* certificate, EVP_PKEY* key) {
  certified_key texts{pem_of(certificate), pem_of(key), last_day_of(certificate)};
  if (texts.certificate.empty() || texts.key.empty())
    return openssl_failure("Cannot write down a certificate");
  return texts;
}

} // namespace

result<certified_key> make_cluster_authority() {
  auto key = make_key();
  auto made = draft(key.get(), authority_name);
  auto* it = made.get();
  auto good = made && set_validity(it, cluster_authority_days) &&
              X509_set_issuer_name(it, X509_get_subject_name(it)) == 1 && describe_authority(it) &&
              X509_sign(it, key.get(), EVP_sha256()) > 0;
  if (!good)
    return openssl_failure("Cannot make a certificate authority");
  return texts_of(it, key.get());
}

bool is_node_name(const std::string& name) {
  auto canonical = canonical_domain(name);
  return canonical && *canonical == name && name.size() <= ub_common_name;
}

result<cluster_authority> cluster_authority::from(const certified_key& texts) {
  cluster_authority made;
  made.certificate_ = read_certificate(texts.certificate);
  made.key_ = read_key(texts.key);
  if (!made.certificate_ || !made.key_ ||
      X509_check_private_key(made.certificate_.get(), made.key_.get()) != 1)
    return openssl_failure("The cluster's authority cannot be used");
  if (X509_check_ca(made.certificate_.get()) == 0)
    return fail(errc::internal,
                "The cluster's authority cannot be used: its certificate is none of an authority");
  return made;
}

result<certified_key> cluster_authority::issue(const std::string& node, int days) const {
  if (!is_node_name(node))
    return fail(errc::invalid_argument,
                "\"" + node + "\" cannot be a node's name: take a host name in lower case, such as worker-1");
  auto key = make_key();
  auto made = draft(key.get(), node);
  auto* it = made.get();
  auto* issuer = certificate_.get();
  if (!made || !set_validity(it, days))
    return openssl_failure("Cannot make a certificate");
  if (ASN1_TIME_compare(X509_get0_notAfter(it), X509_get0_notAfter(issuer)) > 0)
    return fail(errc::invalid_argument, "The authority ends on " + last_day_of(issuer) +
                                            ", before a certificate of " + std::to_string(days) +
                                            " days: choose fewer days, or a directory for a new authority");
  auto good = X509_set_issuer_name(it, X509_get_subject_name(issuer)) == 1 &&
              describe_host(it, issuer, "serverAuth,clientAuth", node) &&
              X509_sign(it, key_.get(), EVP_sha256()) > 0;
  if (!good)
    return openssl_failure("Cannot issue a certificate");
  return texts_of(it, key.get());
}

} // namespace sandy::certificates
