#include "http/egress/request_rewriter.hpp"

#include "messages/network_rule.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace sandy::http::egress {

namespace {

// The longest line of a chunked body.
constexpr std::size_t most_chunk_line_bytes = 16 * 1024;
// Before a request.
constexpr std::size_t most_empty_lines = 8;

caf::error malformed() { return fail(errc::invalid_argument, "The request is not valid HTTP/1.1"); }

bool same(std::string_view a, std::string_view b) noexcept { return boost::beast::iequals(a, b); }

void append_chunk(std::string& out, std::string_view bytes) {
  std::array<char, 16> digits{};
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), bytes.size(), 16).ptr;
  out.append(digits.data(), end).append("\r\n").append(bytes).append("\r\n");
}

} // namespace

request_rewriter::request_rewriter(std::string host, std::uint16_t port, bool tls,
                                   const replacements& secrets)
    : host_(std::move(host))
    , port_(port)
    , tls_(tls)
    , secrets_(secrets) {}

result<void> request_rewriter::feed(std::string_view bytes, std::string& out) {
  pending_.append(bytes);
  while (!pending_.empty()) {
    switch (state_) {
    case state::head: {
      auto whole = read_head();
      if (!whole)
        return std::move(whole.error());
      if (!*whole)
        return caf::unit;
      auto good = check();
      if (good)
        good = write_head(out);
      if (!good)
        return good;
      break;
    }
    case state::sized:
      read_sized(out);
      break;
    case state::chunked: {
      auto whole = read_chunks(out);
      if (!whole)
        return std::move(whole.error());
      if (!*whole)
        return caf::unit;
      break;
    }
    case state::raw:
      if (!tls_ && !switched_) // requests, if the host does not agree, and for whom it likes
        return fail(errc::invalid_argument, "A WebSocket begins when its host has agreed to it");
      out.append(pending_);
      pending_.clear();
      break;
    }
  }
  return caf::unit;
}

result<bool> request_rewriter::read_head() {
  if (!parser_) {
    // Empty lines before a request are to be ignored (RFC 9112, section 2.2).
    std::size_t empty = 0;
    while (std::string_view{pending_}.substr(empty).starts_with("\r\n"))
      empty += 2;
    pending_.erase(0, empty);
    empty_lines_ += empty / 2;
    if (empty_lines_ > most_empty_lines)
      return malformed();
    if (pending_.empty() || pending_ == "\r")
      return false;
    parser_.emplace(head_);
    parser_->header_limit(most_head_bytes);
    head_bytes_ = empty_lines_ = 0;
  }
  boost::beast::error_code ec;
  auto used = parser_->put(boost::asio::const_buffer{pending_.data(), pending_.size()}, ec);
  head_bytes_ += used; // the parser's own limit covers only what it was given at once
  pending_.erase(0, used);
  auto need_more = ec == beast_http::error::need_more || (!ec && !parser_->is_header_done());
  if (head_bytes_ + (need_more ? pending_.size() : 0) > most_head_bytes || head_.too_many_fields ||
      ec == beast_http::error::header_limit)
    return fail(errc::header_too_large, "The request head is too large");
  if (need_more)
    return false;
  if (ec || !head_.has_host)
    return malformed();
  return true;
}

result<void> request_rewriter::check() const {
  if (!host_is_ours(head_.field("Host")))
    return fail(errc::forbidden,
                "This connection is to " + host_ + ": it carries no requests for other hosts");
  // A tunnel would carry what nobody can check, and an answer to TRACE repeats the request's headers.
  if (same(head_.method(), "CONNECT") || same(head_.method(), "TRACE"))
    return fail(errc::method_not_allowed, "Where requests are looked at, CONNECT and TRACE are refused");
  // Of a whole URL the server would believe the host in it, and not the header.
  auto target = head_.target();
  if (!target.starts_with('/') && !(target == "*" && head_.method() == "OPTIONS"))
    return fail(errc::invalid_argument, "The request's target is not a path");
  return caf::unit;
}

bool request_rewriter::host_is_ours(std::string_view value) const {
  auto colon = value.find(':');
  auto name = canonical_domain(value.substr(0, colon));
  if (!name || *name != host_)
    return false;
  if (colon == std::string_view::npos)
    return true; // some clients leave the port out where they should not
  return value.substr(colon + 1) == std::to_string(port_);
}

bool request_rewriter::opens_websocket() const {
  return same(head_.field("Upgrade"), "websocket") && parser_->upgrade() && head_.method() == "GET" &&
         !head_.chunked && head_.content_length.value_or(0) == 0;
}

result<void> request_rewriter::write_head(std::string& out) {
  auto websocket = opens_websocket();
  // Without TLS whose answers these are is known by their order alone.
  if (websocket && !tls_ && requests_ > 0)
    return fail(errc::invalid_argument, "A WebSocket must be the first request of its connection");
  auto any_secret = false;
  std::string head;
  head.append(head_.method()).append(" ").append(head_.target());
  head.append(head_.version == 10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  for (std::size_t i = 0; i < head_.field_count(); ++i) {
    auto [name, value] = head_.field_at(i);
    // Trailers are not passed on, and what is not HTTP/1.1 any more gets no secrets: a client that proposes
    // another protocol takes no as an answer, but for WebSockets, which have no other way.
    if (same(name, "Trailer") || same(name, "HTTP2-Settings") || (same(name, "Upgrade") && !websocket))
      continue;
    auto changed = secrets_.applied_to(name, value);
    any_secret = any_secret || changed;
    head.append(name).append(": ").append(changed ? std::string_view{*changed} : value).append("\r\n");
    if (head.size() > most_rewritten_bytes)
      return fail(errc::header_too_large, "The request head is too large with its secrets in it");
  }
  out.append(head).append("\r\n");
  ++requests_;
  with_secrets_ += any_secret ? 1 : 0;
  body_left_ = head_.content_length.value_or(0);
  // After the request for a WebSocket nothing is a request, even if the server should say no: whoever sends
  // one then gets no secrets into it.
  state_ = websocket        ? state::raw
           : head_.chunked  ? state::chunked
           : body_left_ > 0 ? state::sized
                            : state::head;
  if (state_ != state::chunked)
    parser_.reset();
  return caf::unit;
}

void request_rewriter::read_sized(std::string& out) {
  auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, pending_.size()));
  out.append(pending_, 0, size);
  pending_.erase(0, size);
  body_left_ -= size;
  if (body_left_ == 0)
    state_ = state::head;
}

result<bool> request_rewriter::read_chunks(std::string& out) {
  std::string piece;
  boost::beast::error_code ec;
  auto used = parser_->put_chunks(pending_, piece, ec);
  pending_.erase(0, used);
  if (!piece.empty())
    append_chunk(out, piece);
  if (parser_->is_done()) {
    out.append("0\r\n\r\n");
    parser_.reset();
    state_ = state::head;
    return true;
  }
  if ((ec && ec != beast_http::error::need_more) || pending_.size() >= most_chunk_line_bytes)
    return fail(errc::invalid_argument, "The chunked request body is malformed");
  return false;
}

} // namespace sandy::http::egress
