#pragma once

#include "http/client/answer.hpp"
#include "http/exchange.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::ingress {

/// A request as its application is to see it.
struct passed_request {
  std::string target;         ///< path and query
  std::string host;           ///< the sandbox's name
  std::string forwarded_host; ///< the name that the client asked for
  /// It came below a path of the API's own address: what belongs to the API, credentials and cookies, stays
  /// here, and cookies of the application would be everybody's.
  bool below_api = false;
  /// For another node: what it is told of the request, which it gets otherwise as it came. Empty: it is for
  /// an application.
  std::string passed_on{};
};

/// Appends the head of a request to an application: what is about the client's connection to us is left out
/// (RFC 9110, section 7.6.1), what tells of the client is added.
void append_request_head(std::string& out, exchange& ex, const passed_request& request);

/// Appends the fields of a request as another node is to see them: all that are not about the connection, but
/// Host. @param known what it is told of the request.
void append_fields_for_node(std::string& out, const request_head& head, std::string_view known);

/// Appends the fields of an application's answer, without those about its connection to us and its length.
void append_answer_fields(std::string& out, const client::upstream_answer& answer, std::string_view date,
                          bool below_api);

/// Appends a whole 101, for a client that takes the application's offer to speak something else.
void append_switching_head(std::string& out, const client::upstream_answer& answer, bool below_api);

/// The Content-Security-Policy of whatever a sandbox gives below the API's paths: a page of one sandbox must
/// not be at home where the API and every other sandbox's pages are.
inline constexpr std::string_view page_policy =
    "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

/// What the client's Connection fields name; none when they name too much to be passed on.
std::optional<connection_options> options_of(const request_head& head) noexcept;

/// True when a client wants to speak something else. Never with a body: then two would read from the client,
/// and an offer to switch may always be overlooked (RFC 9110, section 7.8).
bool wants_upgrade(const request_head& head) noexcept;

/// The target of a request line as path and query: "http://host/a?b" is "/a?b". None when it is neither a
/// path nor an address.
std::optional<std::string_view> path_and_query(std::string_view target) noexcept;

/// The value of a Cookie header without the cookies that are ours. See access.hpp.
std::string without_own_cookies(std::string_view cookies);

} // namespace sandy::http::ingress
