#include "http/answer_head.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <charconv>

namespace sandy::http {

namespace {

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_number(std::string& out, std::string_view name, std::uint64_t number) {
  out.append(name);
  append_number(out, number);
  out.append("\r\n");
}

} // namespace

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  auto begin = out.size();
  out.append(value);
  for (auto i = begin; i < out.size(); ++i)
    if (auto c = static_cast<unsigned char>(out[i]); c < 0x20 || c == 0x7f)
      out[i] = ' ';
  out.append("\r\n");
}

void append_passed_head(std::string& out, const passed_answer& head, framing body, bool keep_alive,
                        bool http10) {
  out.append("HTTP/1.1 ");
  append_number(out, head.status);
  out.append(" ").append(head.reason).append("\r\n").append(head.fields);
  if (body == framing::length)
    append_number(out, "Content-Length: ", head.length.value_or(0));
  else if (body == framing::chunked)
    out.append("Transfer-Encoding: chunked\r\n");
  if (!keep_alive)
    out.append("Connection: close\r\n");
  else if (http10)
    out.append("Connection: keep-alive\r\n");
  out.append("\r\n");
}

void append_head(std::string& out, const answer_head& head) {
  out.append("HTTP/1.1 ");
  append_number(out, head.status);
  out.push_back(' ');
  if (head.status == 499) {
    out.append("Client Closed Request");
  } else {
    auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(head.status));
    out.append(reason.data(), reason.size());
  }
  out.append("\r\nServer: sandy\r\nDate: ")
      .append(head.date)
      .append("\r\nX-Request-Id: ")
      .append(head.request_id);
  out.append("\r\n");
  if (!head.content_type.empty())
    append_field(out, "Content-Type", head.content_type);
  if (head.body == framing::length) {
    out.append("Content-Length: ");
    append_number(out, head.length);
    out.append("\r\n");
  } else if (head.body == framing::chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  if (!head.keep_alive)
    out.append("Connection: close\r\n");
  else if (head.http10)
    out.append("Connection: keep-alive\r\n");
  if (!head.correlation_id.empty())
    append_field(out, "X-Correlation-ID", head.correlation_id);
  if (!head.allowed_origin.empty()) {
    append_field(out, "Access-Control-Allow-Origin", head.allowed_origin);
    if (head.allowed_origin != "*")
      out.append("Vary: Origin\r\n");
    out.append(
        "Access-Control-Expose-Headers: X-Request-Id, X-Correlation-ID, Retry-After, ETag, Content-Range, "
        "Last-Modified, X-Content-SHA256, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset\r\n");
  }
  // draft-ietf-httpapi-ratelimit-headers, in the three fields of its first versions: they are what clients
  // read.
  if (head.budget != nullptr) {
    append_number(out, "RateLimit-Limit: ", head.budget->limit);
    append_number(out, "RateLimit-Remaining: ", head.budget->remaining);
    append_number(out, "RateLimit-Reset: ", head.budget->reset);
  }
  if (head.extra != nullptr)
    for (const auto& [name, value] : *head.extra)
      append_field(out, name, value);
  out.append("\r\n");
}

bool is_plain_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view{"-_.:/+=@~"}.find(c) != std::string_view::npos;
  });
}

} // namespace sandy::http
