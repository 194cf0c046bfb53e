#pragma once

#include "messages/error.hpp"
#include "messages/network_rule.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::http::egress {

// Messages of the domain name system (RFC 1035). Reading is the C library's (arpa/nameser.h), which checks
// every length; what is not the question or an address is not passed on.

using dns_bytes = std::vector<std::uint8_t>;

enum class dns_code : std::uint8_t {
  ok = 0,
  malformed = 1,
  failed = 2,
  no_such_name = 3,
  not_done = 4,
  refused = 5
};

/// The most that is answered in one datagram, and asked for in one (RFC 9715).
inline constexpr std::size_t most_datagram_bytes = 1232;

/// What a sandbox asks.
struct dns_question {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  std::string name; ///< canonical; empty when it is no host name
  std::uint16_t type = 0;
  std::uint16_t answer_bytes = 512; ///< what fits into a datagram back
  dns_bytes text;                   ///< the question as it came, to be repeated in the answer
};

/// Fails with invalid_argument for what is no question of the Internet's with exactly one name.
result<dns_question> read_question(std::span<const std::uint8_t> message);

bool asks_for_ipv4(const dns_question& question) noexcept;
bool asks_for_address(const dns_question& question) noexcept;

/// What a name leads to.
struct dns_answer {
  struct alias {
    std::string name, target; ///< canonical
    std::uint32_t ttl_seconds = 0;
  };
  struct address {
    std::string name; ///< canonical
    network_address value{};
    std::uint32_t ttl_seconds = 0;
  };
  dns_code code = dns_code::ok;
  std::vector<alias> aliases;     ///< from the name asked for to the one that has addresses
  std::vector<address> addresses; ///< of that one
  bool cut = false;               ///< not all of it came: ask by TCP
};

/// A question of ours to a name server. @param name canonical
dns_bytes write_question(std::uint16_t id, std::string_view name, bool ipv4);

/// The answer to such a question. Fails with upstream_error for what is no answer to it.
result<dns_answer> read_answer(std::span<const std::uint8_t> message, std::uint16_t id, std::string_view name,
                               bool ipv4);

/// The answer for the sandbox. @param most_bytes when it does not fit, it says so, and has no addresses.
dns_bytes write_answer(const dns_question& question, const dns_answer& answer, std::size_t most_bytes);

/// An answer with a code alone. Empty when `message` is not even the beginning of a question.
dns_bytes write_refusal(std::span<const std::uint8_t> message, dns_code code);

} // namespace sandy::http::egress
