#include "http/gateway/url_backend.hpp"

#include "http/outbound/address_policy.hpp"

#include <boost/asio/ip/address.hpp>

namespace sandy::http::gateway {

std::string chat_path(std::string path) {
  constexpr std::string_view completions = "/chat/completions";
  while (path.ends_with('/'))
    path.pop_back();
  if (path.ends_with(completions))
    return path;
  return path.append(path.ends_with("/v1") ? "" : "/v1").append(completions);
}

std::string with_scheme(const std::string& address) {
  if (address.find("://") != std::string::npos)
    return address;
  auto host = address.substr(0, address.find('/'));
  boost::system::error_code no_address;
  auto literal = boost::asio::ip::make_address(host, no_address);
  auto near =
      no_address ? host == "localhost" || host.find(':') != std::string::npos : !outbound::is_public(literal);
  return (near ? "http://" : "https://") + address;
}

result<std::shared_ptr<url_backend>> url_backend::make(const std::string& url, const std::string& key) {
  auto parsed = client::parse_url(url);
  if (!parsed)
    return std::move(parsed.error());
  if (parsed->path.find('?') != std::string::npos)
    return fail(errc::invalid_argument, "has a query");
  for (char c : key)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return fail(errc::invalid_argument, "has a key with characters that no header takes");
  auto made = std::make_shared<url_backend>();
  made->to_ = std::move(parsed->to);
  made->target_ = chat_path(std::move(parsed->path));
  if (!key.empty())
    made->fields_ = "Authorization: Bearer " + key + "\r\n";
  return made;
}

std::unique_ptr<lease> url_backend::at_once(const principal&) {
  auto made = std::make_unique<lease>();
  made->to = to_;
  made->target = target_;
  made->fields = fields_;
  return made;
}

io_task<result<std::unique_ptr<lease>>> url_backend::acquire(principal caller, std::chrono::milliseconds) {
  co_return at_once(caller);
}

io_task<result<std::unique_ptr<lease>>> url_backend::acquire_spare(principal caller, const lease*) {
  co_return at_once(caller);
}

} // namespace sandy::http::gateway
