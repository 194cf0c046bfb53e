#pragma once

#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::platform {

/// Millionths of a dollar (or of whatever the operator's prices are in).
using micros = std::uint64_t;

/// What a request becomes before it is sent on.
enum class translation : std::uint8_t {
  none,
  memory_query, ///< {user_id, prompt} to `GET <target>/memories/relevant`
  memory_store, ///< {user_id, conversation} to `POST <target>/memories/extract`
};

/// One service that sandboxes reach by a path of the proxy.
struct service_settings {
  std::string name;                 ///< of metrics and messages: "llm"
  std::string path;                 ///< "/v1/chat/completions"
  std::vector<std::string> aliases; ///< other paths that mean the same
  std::string target;               ///< URL that a request goes to; a query of the request is added
  std::vector<std::string> methods{"POST"};
  std::chrono::milliseconds timeout{
      300'000}; ///< of a whole request, from its head to the last byte of the answer
  std::string auth_header = "Authorization";
  std::string auth_prefix = "Bearer "; ///< before the key
  std::string key;                     ///< secret; empty: none is sent
  bool user_key = false;               ///< the key that came with the sandbox is used instead, if one did
  std::uint64_t max_request_bytes = 16ull << 20;
  std::uint64_t max_answer_bytes = 256ull << 20;
  micros price = 0;           ///< of each request
  bool count_tokens = false;  ///< its answers say in `usage` how many there were
  bool include_usage = false; ///< have a streamed answer say it: `stream_options.include_usage` is added
  bool retry_safe = false;    ///< a POST may be sent again, as a GET may
  translation translate = translation::none;
  std::vector<std::string> pass_headers; ///< of requests, beside those that always are
};

/// What tokens of a model cost.
struct token_price {
  micros input = 0;  ///< of a million
  micros output = 0; ///< of a million
};

/// What one sandbox may use, with what its descendants use; 0: as much as it likes.
struct budget {
  std::uint64_t requests = 0;
  std::uint64_t tokens = 0;
  micros cost = 0;
  friend bool operator==(const budget&, const budget&) = default;
};

/// What an operator says of the platform's services.
struct settings {
  std::vector<service_settings> services;    ///< none: none are offered
  std::map<std::string, token_price> prices; ///< by model; "*" is any other
  budget limits;
  std::uint32_t breaker_failures = 5;              ///< in a row: then nothing is sent for a while
  std::chrono::milliseconds breaker_pause{30'000}; ///< that while
  bool exec = false;                               ///< offers /sandbox/exec
  bool active() const noexcept { return exec || !services.empty(); }
};

/// What is known of a service by its name alone: paths, methods, timeout, what is counted. Others have the
/// name and what every service has.
service_settings known_service(std::string_view name);

/// Says what is wrong with one. Fails with invalid_argument and half a sentence: "target is not a URL ...".
result<void> check(const service_settings& one);
/// Says what is wrong with all of them together, as a whole sentence.
result<void> check(const settings& all);

/// Whether the value of a header may be that.
bool is_plain(std::string_view text) noexcept;

/// "1.25" as millionths. Fails with invalid_argument and half a sentence for what is no amount, has more than
/// six decimals or is more than a billion.
result<micros> parse_amount(std::string_view text);
std::string print_amount(micros amount);

} // namespace sandy::http::platform
