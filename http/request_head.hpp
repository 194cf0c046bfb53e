#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http {

namespace beast_http = boost::beast::http;

/// The head of one request. Reused from request to request: no allocation once warm.
struct request_head {
  /// Far more than any client sends; more is an attack on whoever looks headers up.
  static constexpr std::size_t max_fields = 256;

  void clear();
  /// Value of the first field of that name, names without regard to case; empty when absent.
  std::string_view field(std::string_view name) const noexcept;

  /// All fields in their order, as (name, value).
  std::size_t field_count() const noexcept { return fields_.size(); }
  std::pair<std::string_view, std::string_view> field_at(std::size_t index) const noexcept {
    return {view(fields_[index].name), view(fields_[index].value)};
  }

  std::string_view method() const noexcept { return view(method_); }
  std::string_view target() const noexcept { return view(target_); }

  unsigned version = 11; ///< 10 or 11
  bool keep_alive = false;
  bool chunked = false;
  bool has_host = false;
  bool too_many_fields = false;
  std::optional<std::uint64_t> content_length;

private:
  friend class request_parser;
  struct piece {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
  };
  struct name_and_value {
    piece name;
    piece value;
  };
  piece keep(std::string_view text);
  std::string_view view(piece p) const noexcept { return std::string_view{text_}.substr(p.at, p.size); }

  std::string text_;
  std::vector<name_and_value> fields_;
  piece method_;
  piece target_;
};

/// Beast's parser, writing into a request_head, and stricter: it refuses every request whose length two
/// programs could understand differently (RFC 9112, section 6.3). One per request.
class request_parser final : public beast_http::basic_parser<true> {
public:
  explicit request_parser(request_head& head);

  using error_code = boost::beast::error_code;

  /// Reads on in a chunked body, when the head is done. @param into gets its bytes. @param ec need_more or
  /// none, until is_done(); else the body is malformed. @returns how much of `from` is used.
  std::size_t put_chunks(std::string_view from, std::string& into, error_code& ec);

private:
  using text = boost::beast::string_view;
  void on_request_impl(beast_http::verb, text method, text target, int version, error_code& ec) override;
  void on_field_impl(beast_http::field name, text name_text, text value, error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, text body, error_code& ec) override;
  void on_response_impl(int, text, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(text body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  request_head& head_;
  std::string* sink_ = nullptr;
  bool in_head_ = true;
  bool has_length_ = false;
  bool in_chunk_line_ = false; ///< the end of one has not come
};

} // namespace sandy::http
