#include "http/target.hpp"

#include <algorithm>
#include <cstdint>

namespace sandy::http {

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// Well-formed UTF-8 (RFC 3629: shortest form, no surrogates) without control characters.
bool is_clean_text(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x20 || lead == 0x7f)
      return false;
    if (lead < 0x80)
      continue;
    auto more = lead >= 0xc2 && lead <= 0xdf   ? 1
                : lead >= 0xe0 && lead <= 0xef ? 2
                : lead >= 0xf0 && lead <= 0xf4 ? 3
                                               : 0;
    if (more == 0)
      return false;
    std::uint32_t code = lead & (0x3fu >> more);
    for (auto left = more; left > 0; --left) {
      if (i == text.size() || (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80)
        return false;
      code = code << 6 | (static_cast<unsigned char>(text[i++]) & 0x3f);
    }
    if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (more == 3 && (code < 0x10000 || code > 0x10ffff)))
      return false;
  }
  return true;
}

/// "http://host:port/path" -> "/path"
std::string_view without_origin(std::string_view raw) noexcept {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (raw.size() < scheme.size() || !std::equal(scheme.begin(), scheme.end(), raw.begin(),
                                                  [](char a, char b) { return a == (b | 0x20) || a == b; }))
      continue;
    auto rest = raw.substr(scheme.size());
    auto end = rest.find_first_of("/?");
    if (rest.empty() || end == 0)
      return {};
    if (end == std::string_view::npos)
      return "/";
    return rest.substr(end);
  }
  return raw;
}

} // namespace

bool append_decoded(std::string& out, std::string_view text, bool plus_is_space) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size())
        return false;
      auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0)
        return false;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out.push_back(c);
  }
  return true;
}

bool request_target::parse(std::string_view raw) {
  path_.clear();
  segments_.clear();
  query_ = {};
  raw = without_origin(raw);
  if (raw.starts_with('?')) // an absolute form with an empty path
    path_ = "/";
  else if (!raw.starts_with('/') || raw.find('#') != std::string_view::npos)
    return false;
  auto mark = raw.find('?');
  if (mark != std::string_view::npos)
    query_ = raw.substr(mark + 1);
  if (query_.find('%') != std::string_view::npos) {
    std::string decoded;
    if (!append_decoded(decoded, query_, true) || decoded.find('\0') != std::string::npos)
      return false;
  }
  return parse_path(raw.substr(0, mark));
}

bool request_target::parse_path(std::string_view raw) {
  path_.clear();
  path_.reserve(raw.size() + 1); // never reallocated below: the segments point into it
  path_.push_back('/');
  auto rest = raw.substr(std::min<std::size_t>(1, raw.size()));
  while (!rest.empty()) {
    auto end = rest.find('/');
    auto begin = path_.size();
    if (!append_decoded(path_, rest.substr(0, end), false))
      return false;
    if (segments_.size() <= max_segments)
      segments_.emplace_back(path_.data() + begin, path_.size() - begin);
    if (end == std::string_view::npos)
      break;
    path_.push_back('/');
    rest.remove_prefix(end + 1);
  }
  return is_clean_text(path_);
}

std::optional<std::string> request_target::query(std::string_view name) const {
  for (auto rest = query_; !rest.empty();) {
    auto end = std::min(rest.find('&'), rest.size());
    auto pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    auto equals = pair.find('=');
    std::string text;
    if (!append_decoded(text, pair.substr(0, equals), true) || text != name)
      continue;
    text.clear();
    if (equals != std::string_view::npos && !append_decoded(text, pair.substr(equals + 1), true))
      return std::nullopt;
    return text;
  }
  return std::nullopt;
}

} // namespace sandy::http
