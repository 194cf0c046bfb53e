#include "http/egress/placeholders.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/header_values.hpp"

#include <boost/beast/core/string.hpp>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace sandy::http::egress {

namespace {

constexpr std::string_view prefix = "sandy-secret-";
constexpr std::size_t random_bytes = 16;
constexpr std::string_view basic = "Basic ";

/// Their values decide where a message goes and where it ends.
constexpr std::array<std::string_view, 9> framing{"Host",    "Connection",        "Content-Length",
                                                  "Expect",  "Keep-Alive",        "TE",
                                                  "Trailer", "Transfer-Encoding", "Upgrade"};

} // namespace

result<std::string> make_placeholder() {
  std::string bytes(random_bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1)
    return fail(errc::internal, "There is no randomness");
  return std::string{prefix} + codec::to_hex(bytes);
}

std::optional<std::string> replacements::applied_to(std::string_view name, std::string_view value) const {
  auto same = [](std::string_view a, std::string_view b) { return boost::beast::iequals(a, b); };
  if (std::any_of(framing.begin(), framing.end(), [&](auto each) { return same(each, name); }))
    return std::nullopt;
  if (same(name, "Authorization") && same(value.substr(0, basic.size()), basic))
    return in_credentials(value);
  return in_text(value);
}

/// One pass over the text: what was put in is not looked at again.
std::optional<std::string> replacements::in_text(std::string_view text) const {
  std::string changed;
  auto any = false;
  for (auto at = text.find(prefix); at != std::string_view::npos; at = text.find(prefix)) {
    auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& each) {
      return text.substr(at).starts_with(each->placeholder);
    });
    auto known = found != all_.end();
    any = any || known;
    changed.append(text.substr(0, at)).append(known ? std::string_view{(*found)->given.value.bytes} : prefix);
    if (changed.size() > most_bytes)
      return changed;
    text.remove_prefix(at + (known ? (*found)->placeholder.size() : prefix.size()));
  }
  if (!any)
    return std::nullopt;
  return changed.append(text);
}

std::optional<std::string> replacements::in_credentials(std::string_view value) const {
  auto decoded = codec::base64_decode(value.substr(basic.size()));
  auto changed = decoded ? in_text(*decoded) : std::nullopt;
  if (!changed)
    return in_text(value);
  return std::string{value.substr(0, basic.size())} + codec::base64_encode(*changed);
}

} // namespace sandy::http::egress
