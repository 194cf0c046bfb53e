#pragma once

#include <memory>
#include <string>
#include <string_view>

// OpenSSL's own name for what it hands out.
struct evp_md_ctx_st;

namespace sandy::http::routes {

/// The SHA-256 of bytes that come in pieces.
class sha256 {
public:
  sha256();
  void update(std::string_view bytes);
  /// 64 lower-case hex digits. Call once, last.
  std::string hex();

private:
  struct release {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, release> context_;
};

} // namespace sandy::http::routes
