#include "http/auth.hpp"

#include "http/codec/base64.hpp"

#include <boost/beast/http/rfc7230.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace sandy::http {

namespace {

struct free_context {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

std::array<unsigned char, 32> sha256(std::string_view text) {
  // Fetching the algorithm takes longer than hashing a key with it, so both are kept.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, free_context> context{EVP_MD_CTX_new()};
  std::array<unsigned char, 32> out{};
  unsigned size = 0;
  if (algorithm == nullptr || !context || EVP_DigestInit_ex2(context.get(), algorithm, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), out.data(), &size) != 1 || size != out.size())
    throw std::runtime_error("SHA-256 is not available");
  return out;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::optional<std::array<unsigned char, 32>> parse_digest(std::string_view hex) {
  std::array<unsigned char, 32> out{};
  if (hex.size() != 2 * out.size())
    return std::nullopt;
  for (std::size_t i = 0; i < out.size(); ++i) {
    auto high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return out;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

} // namespace

result<key_ring> key_ring::load(const std::vector<configured_key>& keys) {
  constexpr std::string_view digest_prefix = "sha256:";
  key_ring ring;
  for (const auto& key : keys) {
    principal owner{key.tenant};
    owner.admin = key.admin;
    if (key.tenant.value.empty())
      return fail(errc::invalid_argument, "An API key has no tenant");
    if (key.secret.empty())
      return fail(errc::invalid_argument, "The API key of tenant '" + key.tenant.value + "' is empty");
    if (!key.secret.starts_with(digest_prefix)) {
      ring.entries_.push_back({std::move(owner), sha256(key.secret)});
      continue;
    }
    auto parsed = parse_digest(std::string_view{key.secret}.substr(digest_prefix.size()));
    if (!parsed)
      return fail(errc::invalid_argument,
                  "The key digest of tenant '" + key.tenant.value + "' is not 64 hex digits");
    ring.entries_.push_back({std::move(owner), *parsed});
  }
  return ring;
}

std::optional<principal> key_ring::owner(std::string_view key) const {
  auto asked = sha256(key);
  const entry* found = nullptr;
  for (const auto& known : entries_)
    if (CRYPTO_memcmp(known.key.data(), asked.data(), asked.size()) == 0)
      found = &known;
  if (found == nullptr)
    return std::nullopt;
  return found->owner;
}

std::string_view bearer_token(std::string_view authorization) noexcept {
  constexpr std::string_view scheme = "bearer";
  if (authorization.size() <= scheme.size() || authorization[scheme.size()] != ' ')
    return {};
  if (!std::equal(scheme.begin(), scheme.end(), authorization.begin(),
                  [](char a, char b) { return a == lower(b); }))
    return {};
  auto token = authorization.substr(scheme.size() + 1);
  token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
  return token;
}

std::vector<std::string_view> offered_subprotocols(std::string_view header) {
  std::vector<std::string_view> all;
  for (auto each : boost::beast::http::token_list{boost::beast::string_view{header.data(), header.size()}})
    all.emplace_back(each.data(), each.size());
  return all;
}

std::string subprotocol_key(std::string_view header) {
  constexpr std::string_view prefix = "sandy.bearer.";
  for (auto each : offered_subprotocols(header)) {
    if (!each.starts_with(prefix))
      continue;
    std::string text{each.substr(prefix.size())};
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    return codec::base64_decode(text).value_or("");
  }
  return {};
}

} // namespace sandy::http
