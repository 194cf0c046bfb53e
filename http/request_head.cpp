#include "http/request_head.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>

namespace sandy::http {

namespace {

std::string_view std_view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

} // namespace

void request_head::clear() {
  version = 11;
  keep_alive = chunked = has_host = too_many_fields = false;
  content_length.reset();
  text_.clear();
  fields_.clear();
  method_ = target_ = {};
}

std::string_view request_head::field(std::string_view name) const noexcept {
  for (const auto& entry : fields_)
    if (entry.name.size == name.size() && boost::beast::iequals(view(entry.name), name))
      return view(entry.value);
  return {};
}

request_head::piece request_head::keep(std::string_view text) {
  piece kept{static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())};
  text_.append(text);
  return kept;
}

request_parser::request_parser(request_head& head)
    : head_(head) {
  head_.clear();
  body_limit(boost::none); // each handler has its own limit
}

void request_parser::on_request_impl(beast_http::verb, text method, text target, int version, error_code&) {
  head_.method_ = head_.keep(std_view(method));
  head_.target_ = head_.keep(std_view(target));
  head_.version = static_cast<unsigned>(version);
}

void request_parser::on_field_impl(beast_http::field name, text name_text, text value, error_code& ec) {
  if (!in_head_)
    return; // trailers come after every decision was made: they must not change it
  if (head_.fields_.size() == request_head::max_fields) {
    head_.too_many_fields = true;
    ec = beast_http::error::header_limit;
    return;
  }
  if (name == beast_http::field::host) {
    if (head_.has_host)
      ec = beast_http::error::bad_field;
    head_.has_host = true;
  } else if (name == beast_http::field::content_length) {
    // Beast takes "5, 5" and a repeated field for 5; a proxy in front of us may not.
    auto digits = !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || has_length_)
      ec = beast_http::error::bad_content_length;
    has_length_ = true;
  } else if (name == beast_http::field::transfer_encoding) {
    // Beast reads a request with any other coding as one without a body: the next request would be the
    // attacker's.
    if (!boost::beast::iequals(value, "chunked") || head_.version < 11 || head_.chunked)
      ec = beast_http::error::bad_transfer_encoding;
    head_.chunked = true;
  }
  if (ec)
    return;
  auto kept_name = head_.keep(std_view(name_text));
  auto kept_value = head_.keep(std_view(value));
  head_.fields_.push_back({kept_name, kept_value});
}

void request_parser::on_header_impl(error_code&) {
  in_head_ = false;
  head_.keep_alive = keep_alive();
  if (has_length_)
    head_.content_length = *content_length();
}

std::size_t request_parser::on_chunk_body_impl(std::uint64_t, text body, error_code&) {
  if (sink_ != nullptr)
    sink_->append(body.data(), body.size());
  return body.size();
}

std::size_t request_parser::put_chunks(std::string_view from, std::string& into, error_code& ec) {
  // Beast asserts that a last chunk, once it has seen it begin, goes on with the rest of it.
  constexpr std::string_view shortest_last_chunk = "0\r\n\r\n";
  if (from.empty() || (in_chunk_line_ && from.size() < shortest_last_chunk.size())) {
    ec = beast_http::error::need_more;
    return 0;
  }
  eager(true);
  sink_ = &into;
  auto used = put(boost::asio::const_buffer{from.data(), from.size()}, ec);
  sink_ = nullptr;
  in_chunk_line_ = used == 0;
  return used;
}

} // namespace sandy::http
