#include "http/egress/interception.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <set>

namespace sandy::http::egress {

namespace {

/// A pattern may name any number of hosts. Making a certificate anew takes a tenth of a millisecond.
constexpr std::size_t most_certificates = 256;

// What both sides of an intercepted connection speak, as TLS writes lists of protocols (RFC 7301).
constexpr std::array<unsigned char, 9> http11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  auto outcome = SSL_select_next_proto(&found, size, http11.data(), http11.size(), offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

result<std::vector<host_pattern>> patterns_of(const secret& given) {
  std::vector<host_pattern> hosts;
  for (const auto& text : given.hosts) {
    auto host = parse_host_pattern(text);
    if (!host)
      return fail(errc::invalid_argument, "The host " + text + " " + text_of(host.error()));
    hosts.push_back(std::move(*host));
  }
  return hosts;
}

} // namespace

tls_sides::tls_sides() {
  for (auto* side : {towards_sandbox_.native_handle(), towards_host_.native_handle()}) {
    SSL_CTX_set_min_proto_version(side, TLS1_2_VERSION);
    SSL_CTX_set_options(side, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(side, SSL_MODE_RELEASE_BUFFERS); // idle connections are many
    SSL_CTX_set_session_cache_mode(side, SSL_SESS_CACHE_OFF);
  }
  // Sessions are not resumed: what one sandbox's authority vouched for is not another's.
  SSL_CTX_set_options(towards_sandbox_.native_handle(), SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(towards_sandbox_.native_handle(), 0);
  SSL_CTX_set_alpn_select_cb(towards_sandbox_.native_handle(), choose_protocol, nullptr);
  SSL_CTX_set_alpn_protos(towards_host_.native_handle(), http11.data(), http11.size());
  towards_host_.set_verify_mode(boost::asio::ssl::verify_peer);
}

result<std::shared_ptr<tls_sides>> tls_sides::make(const std::string& authorities) {
  std::shared_ptr<tls_sides> made{new tls_sides};
  boost::system::error_code ec;
  made->towards_host_.set_default_verify_paths(ec);
  if (ec)
    return fail(errc::internal, "The machine's certificate authorities cannot be read: " + ec.message());
  if (!authorities.empty())
    made->towards_host_.load_verify_file(authorities, ec);
  if (ec)
    return fail(errc::invalid_argument,
                "The certificate authorities of " + authorities + " cannot be read: " + ec.message());
  return made;
}

result<sandbox_secrets> place_secrets(std::vector<secret> given) {
  sandbox_secrets made;
  std::vector<host_pattern> hosts;
  for (auto& each : given) {
    auto patterns = patterns_of(each);
    if (!patterns)
      return std::move(patterns.error());
    hosts.insert(hosts.end(), patterns->begin(), patterns->end());
    auto placeholder = make_placeholder();
    if (!placeholder)
      return std::move(placeholder.error());
    made.all.push_back({std::move(each), std::move(*placeholder)});
  }
  auto authority = make_authority(hosts);
  if (!authority)
    return std::move(authority.error());
  made.authority = std::move(*authority);
  return made;
}

result<std::shared_ptr<interception>> interception::make(sandbox_secrets secrets) {
  auto authority = certificate_authority::from(secrets.authority);
  if (!authority)
    return std::move(authority.error());
  std::shared_ptr<interception> made{new interception(std::move(*authority))};
  for (auto& each : secrets.all) {
    auto hosts = patterns_of(each.given);
    if (!hosts)
      return fail(errc::internal, "A stored secret cannot be used: " + text_of(hosts.error()));
    made->entries_.push_back({std::make_shared<const placed_secret>(std::move(each)), std::move(*hosts)});
  }
  return made;
}

bool interception::is_for(const entry& each, std::string_view host, std::uint16_t port,
                          bool tls) const noexcept {
  return (tls || each.placed->given.allow_http) &&
         std::any_of(each.hosts.begin(), each.hosts.end(),
                     [&](const host_pattern& pattern) { return pattern.names(host, port, tls); });
}

bool interception::wants(std::string_view host, std::uint16_t port, bool tls) const noexcept {
  return is_host_name(host) && std::any_of(entries_.begin(), entries_.end(),
                                           [&](const entry& each) { return is_for(each, host, port, tls); });
}

bool interception::may_want(std::uint16_t port) const noexcept {
  auto may = [&](const entry& each) {
    return std::any_of(each.hosts.begin(), each.hosts.end(), [&](const host_pattern& pattern) {
      return pattern.port ? *pattern.port == port
                          : port == 443 || (port == 80 && each.placed->given.allow_http);
    });
  };
  return std::any_of(entries_.begin(), entries_.end(), may);
}

replacements interception::secrets_for(std::string_view host, std::uint16_t port, bool tls) const {
  replacements found;
  for (const auto& each : entries_)
    if (is_for(each, host, port, tls))
      found.add(each.placed);
  return found;
}

result<X509*> interception::certificate_for(std::string_view host) {
  if (auto known = certificates_.find(host); known != certificates_.end())
    return known->second.get();
  auto named = is_host_name(host) && std::any_of(entries_.begin(), entries_.end(), [&](const entry& each) {
                 return std::any_of(each.hosts.begin(), each.hosts.end(),
                                    [&](const host_pattern& pattern) { return pattern.names(host); });
               });
  if (!named)
    return fail(errc::forbidden, "No secret is for this host");
  auto made = authority_.issue(host);
  if (!made)
    return std::move(made.error());
  if (certificates_.size() >= most_certificates)
    certificates_.clear(); // connections hold what they show
  return certificates_.emplace(std::string{host}, std::move(*made)).first->second.get();
}

} // namespace sandy::http::egress
