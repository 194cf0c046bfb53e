#include "app/sandbox_tokens.hpp"

#include "app/secret_file.hpp"
#include "http/codec/base64.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace sandy {

namespace {

constexpr std::string_view prefix = "sandy-sb.";
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t id_digits = 24;

bool is_secret(const std::string& text) {
  return text.size() == 2 * secret_bytes && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// RFC 4648, section 5, without padding: a token must not need quoting in a header or a shell.
std::string base64url(std::string_view bytes) {
  auto text = http::codec::base64_encode(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

std::optional<std::string> from_base64url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  return http::codec::base64_decode(text);
}

} // namespace

result<sandbox_tokens> sandbox_tokens::open(const std::string& data_dir) {
  auto secret =
      kept_secret(data_dir + "/token_secret", "secret", [] { return random_hex(secret_bytes); }, is_secret);
  if (!secret)
    return std::move(secret.error());
  return sandbox_tokens{std::move(*secret)};
}

std::string sandbox_tokens::sign(const principal& whose) const {
  // An id has no dot and one length, so no two principals are signed as the same text.
  auto text = whose.sandbox.value + "." + whose.tenant.value;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::HMAC(::EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
             &size) == nullptr)
    throw std::runtime_error("HMAC-SHA256 is not available");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[digest[i] >> 4];
    hex += digits[digest[i] & 15];
  }
  return hex;
}

std::string sandbox_tokens::make(const principal& whose) const {
  return std::string{prefix} + whose.sandbox.value + "." + base64url(whose.tenant.value) + "." + sign(whose);
}

sandbox_id sandbox_tokens::named_in(std::string_view token) {
  if (!token.starts_with(prefix))
    return {};
  auto id = token.substr(prefix.size(), id_digits);
  return is_sandbox_id(id) ? sandbox_id{std::string{id}} : sandbox_id{};
}

std::optional<principal> sandbox_tokens::verify(std::string_view token) const {
  if (!token.starts_with(prefix))
    return std::nullopt;
  auto rest = token.substr(prefix.size());
  auto first = rest.find('.'), last = rest.rfind('.');
  if (first != id_digits || last == first || !is_sandbox_id(rest.substr(0, first)))
    return std::nullopt;
  auto tenant = from_base64url(std::string{rest.substr(first + 1, last - first - 1)});
  if (!tenant || tenant->empty())
    return std::nullopt;
  principal claimed{tenant_id{std::move(*tenant)}, sandbox_id{std::string{rest.substr(0, first)}}};
  // The whole token is compared: a second spelling of the same claim is none of ours.
  auto ours = make(claimed);
  if (ours.size() != token.size() || ::CRYPTO_memcmp(ours.data(), token.data(), ours.size()) != 0)
    return std::nullopt;
  return claimed;
}

} // namespace sandy
