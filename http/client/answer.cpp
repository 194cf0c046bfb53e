#include "http/client/answer.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>

namespace sandy::http::client {

namespace beast_http = boost::beast::http;

namespace {

// The longest line of a chunked body, or all of its trailers.
constexpr std::size_t chunk_line_bytes = 16 * 1024;

std::string_view std_view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// Lines that go on behind their end, and ends of lines that only some programs take for one.
bool has_odd_lines(std::string_view head) noexcept {
  for (auto at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1))
    if (at == 0 || head[at - 1] != '\r' ||
        (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')))
      return true;
  return false;
}

} // namespace

void upstream_answer::clear() {
  status = 0;
  chunked = keep_alive = false;
  length.reset();
  text_.clear();
  fields_.clear();
  reason_ = {};
}

upstream_answer::piece upstream_answer::keep(std::string_view text) {
  piece kept{static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())};
  text_.append(text);
  return kept;
}

std::string_view upstream_answer::field(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields_)
    if (key.second == name.size() && boost::beast::iequals(view(key), name))
      return view(value);
  return {};
}

std::optional<connection_options> upstream_answer::options() const noexcept {
  connection_options named;
  for (const auto& [name, value] : fields_)
    if (boost::beast::iequals(view(name), "Connection") && !named.add(view(value)))
      return std::nullopt;
  return named;
}

std::size_t head_size(std::string_view bytes) noexcept {
  auto end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4;
}

answer_parser::answer_parser(upstream_answer& into, bool bodiless)
    : answer_(into) {
  answer_.clear();
  body_limit(boost::none);
  header_limit(upstream_answer::max_bytes);
  skip(bodiless);
}

bool answer_parser::take_head(std::string_view head) {
  if (has_odd_lines(head))
    return false;
  error_code ec;
  put(boost::asio::const_buffer{head.data(), head.size()}, ec);
  return !ec && is_header_done();
}

void answer_parser::on_response_impl(int code, text reason, int version, error_code& ec) {
  if (code < 100 || code > 599)
    ec = beast_http::error::bad_status;
  answer_.status = static_cast<unsigned>(code);
  answer_.reason_ = answer_.keep(std_view(reason));
  old_version_ = version < 11;
}

void answer_parser::on_field_impl(beast_http::field name, text name_text, text value, error_code& ec) {
  if (!in_head_)
    return; // trailers are dropped
  if (answer_.fields_.size() == upstream_answer::max_fields) {
    ec = beast_http::error::header_limit;
    return;
  }
  if (name == beast_http::field::content_length) {
    // Beast takes "5, 5" and a repeated field for 5; the client behind us may not.
    auto digits = !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || has_length_ || answer_.chunked)
      ec = beast_http::error::bad_content_length;
    has_length_ = true;
  } else if (name == beast_http::field::transfer_encoding) {
    if (!boost::beast::iequals(value, "chunked") || old_version_ || answer_.chunked || has_length_)
      ec = beast_http::error::bad_transfer_encoding;
    answer_.chunked = true;
  }
  if (std::ranges::any_of(value, [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && byte != '\t') || byte == 0x7f;
      }))
    ec = beast_http::error::bad_value;
  if (ec)
    return;
  auto kept_name = answer_.keep(std_view(name_text));
  auto kept_value = answer_.keep(std_view(value));
  answer_.fields_.emplace_back(kept_name, kept_value);
}

void answer_parser::on_header_impl(error_code& ec) {
  in_head_ = false;
  const auto options = answer_.options();
  if (!options) {
    ec = beast_http::error::bad_value;
    return;
  }
  // Not Beast's opinion, which counts the body in: without a length it ends with the connection.
  answer_.keep_alive = old_version_ ? options->name("keep-alive") : !options->name("close");
  if (has_length_)
    answer_.length = *content_length();
}

std::size_t answer_parser::on_chunk_body_impl(std::uint64_t, text body, error_code&) {
  if (sink_ != nullptr)
    sink_->append(body.data(), body.size());
  return body.size();
}

std::optional<std::size_t> answer_parser::take_chunks(std::string_view bytes, std::string& into) {
  if (bytes.empty())
    return 0;
  eager(true);
  sink_ = &into;
  error_code ec;
  auto used = put(boost::asio::const_buffer{bytes.data(), bytes.size()}, ec);
  auto more = !ec || ec == beast_http::error::need_more;
  if (!is_done() && (!more || bytes.size() - used >= chunk_line_bytes))
    return std::nullopt;
  return used;
}

} // namespace sandy::http::client
