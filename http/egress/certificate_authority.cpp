#include "http/egress/certificate_authority.hpp"

#include <openssl/x509v3.h>

#include <set>

namespace sandy::http::egress {

namespace {

constexpr long valid_days = 3650;
// Clocks of a sandbox and of its server are the same; an hour forgives what programs make of them.
constexpr long backdated_seconds = 3600;

std::string constraints(const std::vector<host_pattern>& hosts) {
  std::set<std::string> names;
  for (const auto& host : hosts)
    names.insert(host.name);
  std::string text = "critical";
  for (const auto& name : names)
    text += ",permitted;DNS:" + name;
  return text;
}

} // namespace

result<authority_keys> make_authority(const std::vector<host_pattern>& hosts) {
  auto key = certificates::make_key();
  auto made = certificates::draft(key.get(), "Sandy secrets of one sandbox");
  auto* it = made.get();
  auto good = made && X509_gmtime_adj(X509_getm_notBefore(it), -backdated_seconds) != nullptr &&
              X509_time_adj_ex(X509_getm_notAfter(it), valid_days, 0, nullptr) != nullptr &&
              X509_set_issuer_name(it, X509_get_subject_name(it)) == 1 &&
              certificates::describe_authority(it) &&
              certificates::add_extension(it, it, NID_name_constraints, constraints(hosts)) &&
              X509_sign(it, key.get(), EVP_sha256()) > 0;
  if (!good)
    return certificates::openssl_failure("Cannot make a certificate authority");
  authority_keys keys;
  keys.certificate = certificates::pem_of(it);
  keys.key.bytes = certificates::pem_of(key.get());
  if (keys.certificate.empty() || keys.key.bytes.empty())
    return certificates::openssl_failure("Cannot write down a certificate authority");
  return keys;
}

result<certificate_authority> certificate_authority::from(const authority_keys& keys) {
  certificate_authority made;
  made.certificate_ = certificates::read_certificate(keys.certificate);
  made.authority_key_ = certificates::read_key(keys.key.bytes);
  made.leaf_key_ = certificates::make_key();
  if (!made.certificate_ || !made.authority_key_ || !made.leaf_key_ ||
      X509_check_private_key(made.certificate_.get(), made.authority_key_.get()) != 1)
    return certificates::openssl_failure("The certificate authority cannot be used");
  return made;
}

result<certificate_owner> certificate_authority::issue(std::string_view host) const {
  if (!is_host_name(host)) // the text below would take a comma for the next name
    return fail(errc::internal, "No certificate is issued for what is no host name");
  auto made = certificates::draft(leaf_key_.get(), "Sandy");
  auto* it = made.get();
  auto* issuer = certificate_.get();
  auto good = made && X509_set1_notBefore(it, X509_get0_notBefore(issuer)) == 1 &&
              X509_set1_notAfter(it, X509_get0_notAfter(issuer)) == 1 &&
              X509_set_issuer_name(it, X509_get_subject_name(issuer)) == 1 &&
              certificates::describe_host(it, issuer, "serverAuth", std::string{host}) &&
              X509_sign(it, authority_key_.get(), EVP_sha256()) > 0;
  if (!good)
    return certificates::openssl_failure("Cannot issue a certificate");
  return made;
}

} // namespace sandy::http::egress
