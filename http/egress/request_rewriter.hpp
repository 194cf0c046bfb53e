#pragma once

#include "http/egress/placeholders.hpp"
#include "http/request_head.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::egress {

/// Takes what a client sends on one connection to one host, request after request, and gives what the host
/// gets: the same requests, with secrets in their headers.
///
/// Every request must be for that host; what its server could understand to be another one than we did (and
/// whose headers would then be somebody else's body) is refused. For the same reason heads and chunks are
/// written anew, not copied: without obsolete line folding, chunk extensions and trailers. Bodies are passed
/// on piece by piece.
class request_rewriter {
public:
  /// Of what one request's head may take: as it came, and with its secrets.
  static constexpr std::size_t most_head_bytes = 64 * 1024;
  static constexpr std::size_t most_rewritten_bytes = replacements::most_bytes;

  /// @param host canonical. @param secrets those for this host; outlives the rewriter.
  request_rewriter(std::string host, std::uint16_t port, bool tls, const replacements& secrets);

  /// Takes bytes of the client and appends to `out` what its host is to get.
  /// Fails with what the client is to be told (forbidden, invalid_argument, header_too_large,
  /// method_not_allowed): it is over then, and nothing of the request at fault was put out, except when its
  /// body is.
  result<void> feed(std::string_view bytes, std::string& out);

  /// Requests whose heads were put out: answers to them may be on their way.
  std::uint64_t requests() const noexcept { return requests_; }
  /// A WebSocket was asked for: what follows is put out as it is; without TLS, where nobody proved to be the
  /// host, only once that is known to have agreed.
  bool raw() const noexcept { return state_ == state::raw; }
  /// The host agreed to a WebSocket.
  void switched() noexcept { switched_ = true; }
  /// Requests that got a secret.
  std::uint64_t requests_with_secrets() const noexcept { return with_secrets_; }

private:
  enum class state { head, sized, chunked, raw };
  result<bool> read_head(); ///< true: it is whole
  result<void> check() const;
  result<void> write_head(std::string& out);
  result<bool> read_chunks(std::string& out); ///< true: the body is whole
  void read_sized(std::string& out);
  bool host_is_ours(std::string_view value) const;
  bool opens_websocket() const;

  std::string host_;
  std::uint16_t port_;
  bool tls_;
  const replacements& secrets_;
  state state_ = state::head;
  std::string pending_; ///< came, and is not understood yet
  request_head head_;
  std::optional<request_parser> parser_;
  std::size_t head_bytes_ = 0;
  std::size_t empty_lines_ = 0;
  std::uint64_t body_left_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t with_secrets_ = 0;
  bool switched_ = false;
};

} // namespace sandy::http::egress
