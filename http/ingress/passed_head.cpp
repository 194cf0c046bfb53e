#include "http/ingress/passed_head.hpp"

#include "http/answer_head.hpp"
#include "http/context.hpp"
#include "http/ingress/access.hpp"
#include "http/nodes/passed_on.hpp"
#include "http/request_head.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>

namespace sandy::http::ingress {

namespace {

bool same(std::string_view a, std::string_view b) noexcept { return boost::beast::iequals(a, b); }

template <std::size_t N>
bool any_of(const std::array<std::string_view, N>& names, std::string_view name) noexcept {
  return std::ranges::any_of(names, [&](auto each) { return same(each, name); });
}

// About one connection, or about the length of the body, which whoever writes the head says again.
constexpr std::array<std::string_view, 10> about_connection{
    "Connection", "Keep-Alive", "Proxy-Connection",    "Transfer-Encoding",  "Upgrade",
    "TE",         "Trailer",    "Proxy-Authorization", "Proxy-Authenticate", "Content-Length"};
constexpr std::array<std::string_view, 8> ours_in_requests{
    "Host",      "X-Sandy-Host", "X-Forwarded-For",     "X-Forwarded-Proto", "X-Forwarded-Host",
    "Forwarded", "Expect",       nodes::passed_on_field};

// What a browser takes for the whole origin, which below the API's paths is the API's.
constexpr std::array<std::string_view, 7> origin_wide{
    "Set-Cookie",          "Clear-Site-Data",           "NEL",    "Report-To",
    "Reporting-Endpoints", "Strict-Transport-Security", "Alt-Svc"};

/// Whether a field of an answer is for our client.
bool is_passed(std::string_view name, const connection_options& options, bool below_api) noexcept {
  return !any_of(about_connection, name) && !options.name(name) && !(below_api && any_of(origin_wide, name));
}

/// A client's word that is put between quotes.
bool needs_no_escape(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' &&
           c != '\\';
  });
}

std::string_view scheme_of(exchange& ex) {
  auto said = ex.header("X-Forwarded-Proto");
  if (same(said, "http") || same(said, "https"))
    return said;
  return ex.server().address.scheme;
}

/// Ours is the last element: what came before, in however many lines, is only what the client says.
void append_with_earlier(std::string& out, std::string_view name, const request_head& head,
                         std::string_view value) {
  out.append(name).append(": ");
  for (std::size_t i = 0; i < head.field_count(); ++i)
    if (auto [given, earlier] = head.field_at(i); same(given, name) && !earlier.empty())
      out.append(earlier).append(", ");
  out.append(value).append("\r\n");
}

void append_forwarded(std::string& out, exchange& ex, const passed_request& request) {
  auto address = ex.origin().address;
  auto scheme = scheme_of(ex);
  append_with_earlier(out, "X-Forwarded-For", ex.head(), address);
  out.append("X-Forwarded-Proto: ").append(scheme);
  out.append("\r\nX-Forwarded-Host: ").append(request.forwarded_host).append("\r\n");
  std::string element = "for=";
  if (address.find(':') != std::string_view::npos)
    element.append("\"[").append(address).append("]\"");
  else
    element.append(address);
  if (needs_no_escape(request.forwarded_host))
    element.append(";host=\"").append(request.forwarded_host).append("\"");
  element.append(";proto=").append(scheme);
  append_with_earlier(out, "Forwarded", ex.head(), element);
}

/// What is about our own connection, and the end of the head. @param options more of the Connection field
void append_last_fields(std::string& out, const request_head& head, std::string options = {}) {
  const auto upgrade = wants_upgrade(head);
  if (upgrade)
    options.insert(0, options.empty() ? "Upgrade" : "Upgrade, ");
  if (!options.empty())
    append_field(out, "Connection", options);
  if (upgrade)
    append_field(out, "Upgrade", head.field("Upgrade"));
  if (head.chunked)
    out.append("Transfer-Encoding: chunked\r\n");
  else if (head.content_length)
    out.append("Content-Length: ").append(std::to_string(*head.content_length)).append("\r\n");
  out.append("\r\n");
}

/// Names of fields that the client wants to be dropped on the way to an application: for the node that passes
/// the request on to one.
std::string dropped_names(const request_head& head) {
  constexpr std::array<std::string_view, 3> about_ours{"close", "keep-alive", "upgrade"};
  std::string names;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    auto [name, list] = head.field_at(i);
    while (same(name, "Connection") && !list.empty()) {
      auto each = list.substr(0, list.find(','));
      list.remove_prefix(std::min(each.size() + 1, list.size()));
      each.remove_prefix(std::min(each.find_first_not_of(" \t"), each.size()));
      each = each.substr(0, each.find_last_not_of(" \t") + 1);
      if (!each.empty() && !any_of(about_ours, each) && !any_of(about_connection, each))
        names.append(names.empty() ? "" : ", ").append(each);
    }
  }
  return names;
}

/// The node serves it in our place, and so has to see what we saw.
void append_head_for_node(std::string& out, const request_head& head, std::string_view known) {
  out.append(head.method()).append(" ").append(head.target()).append(" HTTP/1.1\r\n");
  append_field(out, "Host", head.field("Host"));
  append_fields_for_node(out, head, known);
  append_last_fields(out, head, dropped_names(head));
}

} // namespace

void append_request_head(std::string& out, exchange& ex, const passed_request& request) {
  if (!request.passed_on.empty())
    return append_head_for_node(out, ex.head(), request.passed_on);
  const auto& head = ex.head();
  const auto options = options_of(head).value_or(connection_options{});
  out.append(head.method()).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
  out.append(request.host).append("\r\n");
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    auto [name, value] = head.field_at(i);
    if (any_of(about_connection, name) || any_of(ours_in_requests, name) || options.name(name))
      continue;
    auto cookie = same(name, "Cookie");
    if (request.below_api && (cookie || same(name, "Authorization")))
      continue;
    if (!cookie)
      append_field(out, name, value);
    else if (auto rest = without_own_cookies(value); !rest.empty())
      append_field(out, name, rest);
  }
  append_forwarded(out, ex, request);
  append_last_fields(out, head);
}

void append_fields_for_node(std::string& out, const request_head& head, std::string_view known) {
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    auto [name, value] = head.field_at(i);
    if (!any_of(about_connection, name) && !same(name, "Host") && !same(name, "Expect") &&
        !same(name, nodes::passed_on_field))
      append_field(out, name, value);
  }
  append_field(out, nodes::passed_on_field, known);
}

void append_answer_fields(std::string& out, const client::upstream_answer& answer, std::string_view date,
                          bool below_api) {
  const auto options = answer.options().value_or(connection_options{});
  auto dated = false;
  answer.each([&](std::string_view name, std::string_view value) {
    if (!is_passed(name, options, below_api))
      return;
    dated = dated || same(name, "Date");
    append_field(out, name, value);
  });
  if (!dated) // RFC 9110, section 6.6.1
    append_field(out, "Date", date);
  if (below_api)
    append_field(out, "Content-Security-Policy", page_policy);
}

void append_switching_head(std::string& out, const client::upstream_answer& answer, bool below_api) {
  const auto options = answer.options().value_or(connection_options{});
  out.append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
  answer.each([&](std::string_view name, std::string_view value) {
    if (same(name, "Upgrade") || is_passed(name, options, below_api))
      append_field(out, name, value);
  });
  out.append("\r\n");
}

std::optional<connection_options> options_of(const request_head& head) noexcept {
  connection_options named;
  for (std::size_t i = 0; i < head.field_count(); ++i)
    if (auto [name, value] = head.field_at(i); same(name, "Connection") && !named.add(value))
      return std::nullopt;
  return named;
}

bool wants_upgrade(const request_head& head) noexcept {
  if (head.version < 11 || head.chunked || head.content_length.value_or(0) > 0 ||
      head.field("Upgrade").empty())
    return false;
  const auto options = options_of(head);
  return options && options->name("Upgrade");
}

std::optional<std::string_view> path_and_query(std::string_view target) noexcept {
  if (target.starts_with('/'))
    return target;
  for (std::string_view scheme : {"http://", "https://"}) {
    if (target.size() <= scheme.size() || !same(target.substr(0, scheme.size()), scheme))
      continue;
    auto rest = target.substr(scheme.size());
    auto end = rest.find_first_of("/?");
    if (end == 0)
      return std::nullopt;
    if (end == std::string_view::npos)
      return "/";
    if (rest[end] == '/')
      return rest.substr(end);
    return std::nullopt; // "http://host?query": nobody sends it, and it is no part of the target
  }
  return std::nullopt;
}

std::string without_own_cookies(std::string_view cookies) {
  std::string rest;
  while (!cookies.empty()) {
    auto end = std::min(cookies.find(';'), cookies.size());
    auto each = cookies.substr(0, end);
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    auto begin = std::min(each.find_first_not_of(' '), each.size());
    each.remove_prefix(begin);
    if (each.empty() || each.starts_with(access_cookie))
      continue;
    if (!rest.empty())
      rest.append("; ");
    rest.append(each);
  }
  return rest;
}

} // namespace sandy::http::ingress
