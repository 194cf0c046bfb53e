#include "http/ingress/access.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace sandy::http::ingress {

namespace {

std::string hmac_hex(const std::string& secret, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
             &size) == nullptr)
    throw std::runtime_error("HMAC-SHA256 is not available");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += digits[digest[i] >> 4];
    hex += digits[digest[i] & 15];
  }
  return hex;
}

} // namespace

std::string port_signer::sign(const sandbox_id& id, std::uint16_t port, unix_millis expires_at) const {
  if (secret_.empty())
    return {};
  auto expiry = std::to_string(expires_at);
  return expiry + "." + hmac_hex(secret_, "port " + id.value + " " + std::to_string(port) + " " + expiry);
}

std::optional<unix_millis> port_signer::good_until(std::string_view token, const sandbox_id& id,
                                                   std::uint16_t port, unix_millis now) const {
  auto dot = std::min(token.find('.'), token.size());
  unix_millis expires_at = 0;
  auto [end, wrong] = std::from_chars(token.data(), token.data() + dot, expires_at);
  if (secret_.empty() || wrong != std::errc{} || end != token.data() + dot)
    return std::nullopt;
  // The whole token is compared: a second spelling of the same expiry is none of ours.
  auto ours = sign(id, port, expires_at);
  if (ours.size() != token.size() || ::CRYPTO_memcmp(ours.data(), token.data(), ours.size()) != 0 ||
      expires_at <= now)
    return std::nullopt;
  return expires_at;
}

std::string_view access_cookie_of(std::string_view cookies, std::uint16_t port) {
  auto name = std::string{access_cookie} + std::to_string(port) + "=";
  while (!cookies.empty()) {
    auto end = std::min(cookies.find(';'), cookies.size());
    auto each = cookies.substr(0, end);
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    each.remove_prefix(std::min(each.find_first_not_of(' '), each.size()));
    if (each.starts_with(name))
      return each.substr(name.size());
  }
  return {};
}

split_target take_access(std::string_view path_and_query) {
  auto mark = path_and_query.find('?');
  split_target split{std::string{path_and_query.substr(0, mark)}, std::nullopt};
  if (mark == std::string_view::npos)
    return split;
  auto separator = '?';
  auto query = path_and_query.substr(mark + 1);
  for (auto more = true; more;) {
    auto end = query.find('&');
    auto each = query.substr(0, end);
    more = end != std::string_view::npos;
    query.remove_prefix(more ? end + 1 : query.size());
    if (each.starts_with(access_parameter) && each.substr(access_parameter.size()).starts_with('=')) {
      split.access = std::string{each.substr(access_parameter.size() + 1)};
      continue;
    }
    split.target += separator;
    split.target += each;
    separator = '&';
  }
  return split;
}

} // namespace sandy::http::ingress
