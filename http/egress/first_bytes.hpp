#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::egress {

enum class spoken : std::uint8_t {
  undecided, ///< too little came to tell
  tls,
  http,
  other
};

/// What the first bytes of a connection say of it.
struct first_words {
  spoken what = spoken::undecided;
  bool whole = false;              ///< there is nothing more to wait for
  bool broken = false;             ///< it looks like TLS or HTTP, and is not
  std::optional<std::string> name; ///< that it is for; canonical
  bool by_address = false;         ///< an HTTP request that names an address instead
  std::string address;             ///< that one
};

/// More is not waited for: heads and hellos of that size are nobody's.
inline constexpr std::size_t most_first_bytes = 32 * 1024;

/// TLS is read by OpenSSL and HTTP by Beast; neither looks further than to the name. Pure: it is called again
/// with all bytes when more came.
first_words read_first_bytes(std::string_view bytes);

} // namespace sandy::http::egress
