#include "http/routes/sha256.hpp"

#include "http/codec/header_values.hpp"

#include <openssl/evp.h>

#include <new>
#include <stdexcept>

namespace sandy::http::routes {

void sha256::release::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }

sha256::sha256()
    : context_(EVP_MD_CTX_new()) {
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc{};
}

void sha256::update(std::string_view bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1)
    throw std::runtime_error("SHA-256 failed");
}

std::string sha256::hex() {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size) != 1)
    throw std::runtime_error("SHA-256 failed");
  digest.resize(size);
  return codec::to_hex(digest);
}

} // namespace sandy::http::routes
