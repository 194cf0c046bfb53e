#pragma once

#include "app/cli/base_url.hpp"
#include "app/cli/sse_reader.hpp"
#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::cli {

/// Talks to a server, one connection per request. Everything blocks until the server has answered. Everything
/// fails with upstream_error and a sentence: the server's `detail` where it sent one, else what went wrong on
/// the way; with cancelled after an interrupt.
class api_client {
public:
  /// @param key empty: none is sent.
  api_client(base_url where, std::string key);

  /// A request whose answer is JSON. @param target path and query, e.g. "/api/sandboxes".
  result<nlohmann::json> call(std::string_view method, const std::string& target,
                              const std::optional<nlohmann::json>& body = std::nullopt);

  /// Takes the answer's bytes as they come; an error of its own ends the request.
  using consumer = std::function<result<void>(std::string_view bytes)>;
  result<void> download(const std::string& target, const consumer& take);

  /// The next piece, empty at the end.
  using producer = std::function<result<std::string>()>;
  /// PUT of raw bytes. @param length none: sent in chunks.
  result<nlohmann::json> upload(const std::string& target, std::optional<std::uint64_t> length,
                                const producer& next);

  /// Takes the events as they come. @returns when it says so (false) or the stream ends.
  using event_consumer = std::function<result<bool>(const sse_event& event)>;
  result<void> events(const std::string& target, const nlohmann::json& body, const event_consumer& take);

  const base_url& where() const noexcept { return where_; }
  const std::string& key() const noexcept { return key_; }

private:
  base_url where_;
  std::string key_;
};

} // namespace sandy::cli
