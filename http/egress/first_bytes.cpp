#include "http/egress/first_bytes.hpp"

#include "http/request_head.hpp"
#include "messages/network_rule.hpp"

#include <boost/asio/buffer.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cctype>
#include <memory>

namespace sandy::http::egress {

namespace {

constexpr char tls_handshake = 0x16;
/// Longer words are no methods of anybody's.
constexpr std::size_t longest_method = 32;

// -- TLS

/// What the hello said, while OpenSSL reads it.
struct heard {
  bool hello = false;
  bool broken = false;
  std::string name;
};

/// The server name extension (RFC 6066, section 3): a list with one name of type host_name.
bool read_server_name(const unsigned char* data, std::size_t size, std::string& name) {
  auto number = [&](std::size_t at) { return static_cast<std::size_t>(data[at]) << 8 | data[at + 1]; };
  constexpr std::size_t heads = 5; // of the list, and the type and length of the name
  if (size < heads || number(0) != size - 2 || data[2] != TLSEXT_NAMETYPE_host_name ||
      number(3) != size - heads)
    return false;
  name.assign(reinterpret_cast<const char*>(data) + heads, size - heads);
  return true;
}

int hear(SSL* ssl, int*, void*) {
  auto& what = *static_cast<heard*>(SSL_get_app_data(ssl));
  what.hello = true;
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (::SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1)
    what.broken = !read_server_name(data, size, what.name);
  return SSL_CLIENT_HELLO_ERROR; // no more is wanted
}

SSL_CTX* listening_context() {
  static SSL_CTX* const context = [] {
    auto* made = ::SSL_CTX_new(::TLS_server_method());
    if (made != nullptr)
      ::SSL_CTX_set_client_hello_cb(made, hear, nullptr);
    return made;
  }(); // for as long as the process runs
  return context;
}

first_words read_tls(std::string_view bytes) {
  first_words words;
  words.what = spoken::tls;
  std::unique_ptr<SSL, decltype(&::SSL_free)> ssl{::SSL_new(listening_context()), ::SSL_free};
  heard what;
  auto* in = ::BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()));
  auto* out = ::BIO_new(::BIO_s_null());
  if (!ssl || in == nullptr || out == nullptr) {
    ::BIO_free(in);
    ::BIO_free(out);
    words.broken = words.whole = true;
    return words;
  }
  ::BIO_set_mem_eof_return(in, -1);  // the end of what came is not the end
  ::SSL_set_bio(ssl.get(), in, out); // owns both
  SSL_set_app_data(ssl.get(), &what);
  ::ERR_clear_error();
  auto outcome = ::SSL_accept(ssl.get());
  auto more = !what.hello && ::SSL_get_error(ssl.get(), outcome) == SSL_ERROR_WANT_READ;
  ::ERR_clear_error();
  if (more)
    return words;
  words.whole = true;
  words.broken = !what.hello || what.broken;
  if (words.broken || what.name.empty())
    return words;
  if (auto name = canonical_domain(what.name))
    words.name = std::move(*name);
  else
    words.broken = true; // an address, or nothing that a name server knows
  return words;
}

// -- HTTP

bool is_method_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

/// Whether a line could be the first of a request: a word, a space, something, and the protocol's name.
spoken kind_of_line(std::string_view bytes) {
  auto space = std::find_if_not(bytes.begin(), bytes.end(), is_method_letter);
  const auto word = static_cast<std::size_t>(space - bytes.begin());
  if (word > longest_method || (space != bytes.end() && (word == 0 || *space != ' ')))
    return spoken::other;
  if (space == bytes.end())
    return spoken::undecided;
  auto line = bytes.substr(0, bytes.find('\n'));
  if (std::any_of(line.begin(), line.end(),
                  [](char c) { return c != '\r' && std::iscntrl(static_cast<unsigned char>(c)) != 0; }))
    return spoken::other;
  if (line.size() == bytes.size())
    return spoken::undecided;
  return line.find(" HTTP/") != std::string_view::npos ? spoken::http : spoken::other;
}

first_words read_http(std::string_view bytes) {
  first_words words;
  words.what = spoken::http;
  request_head head;
  request_parser parser{head};
  parser.header_limit(most_first_bytes);
  boost::beast::error_code ec;
  parser.put(boost::asio::const_buffer{bytes.data(), bytes.size()}, ec);
  if (ec == beast_http::error::need_more || (!ec && !parser.is_header_done()))
    return words;
  words.whole = true;
  if (ec || !head.has_host || head.too_many_fields) {
    words.broken = true;
    return words;
  }
  std::string_view host = head.field("Host");
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
    words.by_address = true;
  } else {
    host = host.substr(0, host.find(':'));
    words.by_address = static_cast<bool>(parse_address(host));
  }
  if (words.by_address) {
    words.address = host;
    return words;
  }
  if (auto name = canonical_domain(host))
    words.name = std::move(*name);
  else
    words.broken = true;
  return words;
}

} // namespace

first_words read_first_bytes(std::string_view bytes) {
  first_words words;
  if (bytes.empty())
    return words;
  if (bytes.front() == tls_handshake)
    words = read_tls(bytes);
  else {
    // Servers overlook empty lines before a request.
    auto begin = bytes.find_first_not_of("\r\n");
    auto rest = begin == std::string_view::npos ? std::string_view{} : bytes.substr(begin);
    words.what = rest.empty() ? spoken::undecided : kind_of_line(rest);
    if (words.what == spoken::http)
      words = read_http(rest);
    words.whole = words.whole || words.what == spoken::other;
  }
  if (!words.whole && bytes.size() >= most_first_bytes) {
    words.broken = words.what != spoken::undecided;
    words.what = words.what == spoken::undecided ? spoken::other : words.what;
    words.whole = true;
  }
  return words;
}

} // namespace sandy::http::egress
