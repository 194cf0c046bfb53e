#include "app/cli/base_url.hpp"

namespace sandy::cli {

bool base_url::is_loopback() const {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

std::string base_url::authority() const {
  auto shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == "80" ? shown : shown + ":" + port;
}

result<base_url> parse_base_url(std::string_view text) {
  auto wrong = [text](const char* what) {
    return fail(errc::invalid_argument, "The server's address \"" + std::string(text) + "\" " + what);
  };
  constexpr std::string_view scheme = "http://";
  if (text.starts_with("https://"))
    return wrong("uses https, which this client does not speak");
  if (!text.starts_with(scheme))
    return wrong("does not start with http://");
  auto rest = text.substr(scheme.size());
  auto slash = rest.find('/');
  auto authority = rest.substr(0, slash);
  base_url url;
  if (slash != std::string_view::npos)
    url.prefix = rest.substr(slash);
  while (url.prefix.ends_with('/'))
    url.prefix.pop_back();
  if (url.prefix.find_first_of("?# \r\n") != std::string::npos ||
      authority.find('@') != std::string_view::npos)
    return wrong("is not http://host:port");

  auto after_host = authority.find(':');
  if (authority.starts_with('[')) {
    auto bracket = authority.find(']');
    if (bracket == std::string_view::npos)
      return wrong("is not http://host:port");
    url.host = authority.substr(1, bracket - 1);
    after_host = bracket + 1 < authority.size() ? bracket + 1 : std::string_view::npos;
  } else {
    url.host = authority.substr(0, after_host);
  }
  url.port = "80";
  if (after_host != std::string_view::npos) {
    url.port = authority.substr(after_host + 1);
    if (authority[after_host] != ':' || url.port.empty() || url.port.size() > 5 ||
        url.port.find_first_not_of("0123456789") != std::string::npos)
      return wrong("is not http://host:port");
  }
  if (url.host.empty() || url.host.find_first_of(" \r\n") != std::string::npos)
    return wrong("names no host");
  return url;
}

} // namespace sandy::cli
