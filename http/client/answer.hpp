#pragma once

#include "http/connection_options.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::http::client {

/// The head of an answer that an application in a sandbox gave. Reused from answer to answer: no allocation
/// once warm.
class upstream_answer {
public:
  /// More is no answer of an honest application.
  static constexpr std::size_t max_fields = 256;
  static constexpr std::size_t max_bytes = 64 * 1024;

  void clear();
  std::string_view reason() const noexcept { return view(reason_); }
  /// Calls with the name and the value of each field, in order.
  template <class F>
  void each(F call) const {
    for (const auto& [name, value] : fields_)
      call(view(name), view(value));
  }
  /// Value of the first field of that name; empty when absent.
  std::string_view field(std::string_view name) const noexcept;
  /// What its Connection fields name; none when they name too much. A parser takes no such head.
  std::optional<connection_options> options() const noexcept;

  unsigned status = 0;
  bool chunked = false;
  bool keep_alive = false;             ///< the connection takes another request after the body
  std::optional<std::uint64_t> length; ///< announced

private:
  friend class answer_parser;
  using piece = std::pair<std::uint32_t, std::uint32_t>; // where in text_, how long
  piece keep(std::string_view text);
  std::string_view view(piece of) const noexcept {
    return std::string_view{text_}.substr(of.first, of.second);
  }
  std::string text_;
  std::vector<std::pair<piece, piece>> fields_;
  piece reason_{};
};

/// Where the head in `bytes` ends, past its empty line; 0: it is not there yet.
std::size_t head_size(std::string_view bytes) noexcept;

/// Beast's parser, writing into an upstream_answer, and stricter: it takes no answer whose length two
/// programs could understand differently (RFC 9112, section 6.3), no folded line and no control character.
/// One per answer; it goes on with a chunked body.
class answer_parser final : public boost::beast::http::basic_parser<false> {
public:
  /// @param bodiless the answer to HEAD: whatever its head says, no body follows.
  answer_parser(upstream_answer& into, bool bodiless);

  /// Takes a whole head. False: it is none that we pass on.
  bool take_head(std::string_view head);
  /// Takes what it can of a chunked body, and appends what it means to `into`. @returns how many bytes it
  /// used; none: it is no chunked body.
  std::optional<std::size_t> take_chunks(std::string_view bytes, std::string& into);

private:
  using error_code = boost::beast::error_code;
  using text = boost::beast::string_view;
  void on_response_impl(int code, text reason, int version, error_code& ec) override;
  void on_field_impl(boost::beast::http::field name, text name_text, text value, error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, text body, error_code& ec) override;
  void on_request_impl(boost::beast::http::verb, text, text, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(text body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  upstream_answer& answer_;
  std::string* sink_ = nullptr;
  bool in_head_ = true;
  bool has_length_ = false;
  bool old_version_ = false;
};

} // namespace sandy::http::client
