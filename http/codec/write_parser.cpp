#include "http/codec/write_parser.hpp"

#include "http/codec/fields.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <utility>

namespace sandy::http::codec {

namespace {

namespace bj = boost::json;
using boost::system::error_code;

// Longer names and small values are none of ours.
constexpr std::size_t key_max = 64;
constexpr std::size_t small_value_max = 8 * 1024;

/// Receives the parser's events. Our own errors are kept here; the parser only learns that it must stop.
struct write_events {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  enum class field { other, path, content, encoding, mode };

  std::optional<std::string> path;
  std::optional<std::uint32_t> mode;
  bool base64 = false;
  bool has_content = false;
  bool settled = false;
  std::string content;
  caf::error problem;

  std::size_t depth = 0;
  std::string key;
  std::string small;
  field current = field::other;

  bool refuse(error_code& ec, errc code, std::string text) {
    problem = fail(code, std::move(text));
    ec = bj::error::exception; // only has to be an error
    return false;
  }
  bool wrong_type(error_code& ec, std::string_view name, std::string_view wanted) {
    return refuse(ec, errc::validation_failed, std::string{name} + " must be " + std::string{wanted});
  }
  bool top() const noexcept { return depth == 1; }

  /// A value that is no string begins. @param number it is one: good for `mode`.
  bool plain_value(error_code& ec, bool number = false) {
    if (depth == 0)
      return refuse(ec, errc::validation_failed, "The body must be a JSON object");
    if (!top())
      return true;
    switch (current) {
    case field::path:
      return wrong_type(ec, "path", "a string");
    case field::content:
      return wrong_type(ec, "content", "a string");
    case field::encoding:
      return wrong_type(ec, "encoding", "a string");
    case field::mode:
      return number || wrong_type(ec, "mode", "a number or an octal string");
    case field::other:
      return true;
    }
    return true;
  }

  bool set_mode(error_code& ec, std::optional<std::uint32_t> bits) {
    if (!bits)
      return refuse(ec, errc::invalid_argument, "mode must be permission bits, such as \"0644\"");
    if (settled && mode != bits)
      return refuse(ec, errc::invalid_argument, "mode must come before content in a large body");
    mode = bits;
    return true;
  }
  bool set_number(error_code& ec, double value) {
    if (!plain_value(ec, true))
      return false;
    if (!top() || current != field::mode)
      return true;
    auto whole =
        value >= 0 && value <= 07777 && value == static_cast<double>(static_cast<std::uint32_t>(value));
    return set_mode(ec, whole ? std::optional{static_cast<std::uint32_t>(value)} : std::nullopt);
  }

  bool string_part(error_code& ec, bj::string_view part) {
    if (depth == 0)
      return refuse(ec, errc::validation_failed, "The body must be a JSON object");
    if (!top() || current == field::other)
      return true;
    if (current == field::content) {
      content.append(part.data(), part.size());
      return true;
    }
    if (small.size() + part.size() > small_value_max)
      return refuse(ec, errc::invalid_argument,
                    (current == field::path ? "path" : "encoding or mode") + std::string{" is too long"});
    small.append(part.data(), part.size());
    return true;
  }

  bool string_end(error_code& ec) {
    auto value = std::exchange(small, {});
    if (!top())
      return true;
    switch (current) {
    case field::other:
      return true;
    case field::content:
      has_content = true;
      return true;
    case field::mode:
      return set_mode(ec, octal_mode(value));
    case field::encoding: {
      auto word = lower(trim(value));
      base64 = word == "base64";
      if (!base64 && !word.empty() && word != "utf-8" && word != "utf8" && word != "text")
        return refuse(ec, errc::invalid_argument, "encoding must be utf-8 or base64");
      return true;
    }
    case field::path:
      if (auto err = check_path(value, "path")) {
        problem = std::move(err);
        ec = bj::error::exception;
        return false;
      }
      if (settled && path != value)
        return refuse(ec, errc::invalid_argument, "path is given twice");
      path = std::move(value);
      return true;
    }
    return true;
  }

  bool key_end(error_code& ec) {
    auto name = std::exchange(key, {});
    if (!top())
      return true;
    current = name == "path"       ? field::path
              : name == "content"  ? field::content
              : name == "encoding" ? field::encoding
              : name == "mode"     ? field::mode
                                   : field::other;
    // Two contents would be joined into a file that nobody meant.
    if (current == field::content && (has_content || !content.empty()))
      return refuse(ec, errc::invalid_argument, "content is given twice");
    return true;
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) {
    if (depth > 0 && !plain_value(ec))
      return false;
    ++depth;
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    --depth;
    return true;
  }
  bool on_array_begin(error_code& ec) {
    if (!plain_value(ec))
      return false;
    ++depth;
    return true;
  }
  bool on_array_end(std::size_t, error_code&) {
    --depth;
    return true;
  }
  bool on_key_part(bj::string_view part, std::size_t, error_code&) {
    if (key.size() <= key_max)
      key.append(part.data(), std::min(part.size(), key_max + 1));
    return true;
  }
  bool on_key(bj::string_view part, std::size_t size, error_code& ec) {
    on_key_part(part, size, ec);
    return key_end(ec);
  }
  bool on_string_part(bj::string_view part, std::size_t, error_code& ec) { return string_part(ec, part); }
  bool on_string(bj::string_view part, std::size_t, error_code& ec) {
    return string_part(ec, part) && string_end(ec);
  }
  bool on_number_part(bj::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t value, bj::string_view, error_code& ec) {
    return set_number(ec, static_cast<double>(value));
  }
  bool on_uint64(std::uint64_t value, bj::string_view, error_code& ec) {
    return set_number(ec, static_cast<double>(value));
  }
  bool on_double(double value, bj::string_view, error_code& ec) { return set_number(ec, value); }
  bool on_bool(bool, error_code& ec) { return plain_value(ec); }
  bool on_null(error_code& ec) { // null means absent
    return depth > 0 || refuse(ec, errc::validation_failed, "The body must be a JSON object");
  }
  bool on_comment_part(bj::string_view, error_code&) { return true; }
  bool on_comment(bj::string_view, error_code&) { return true; }
};

bj::parse_options parser_options() {
  bj::parse_options options;
  options.max_depth = max_json_depth;
  return options;
}

} // namespace

struct write_parser::impl {
  bj::basic_parser<write_events> parser{parser_options()};
  bool anything = false;

  write_events& events() { return parser.handler(); }

  result<void> feed(std::string_view piece, bool more) {
    error_code ec;
    auto used = parser.write_some(more, piece.data(), piece.size(), ec);
    if (ec || used != piece.size())
      return events().problem ? events().problem : fail(errc::invalid_argument, "The body is not valid JSON");
    return caf::unit;
  }
};

write_parser::write_parser()
    : impl_(std::make_unique<impl>()) {}
write_parser::~write_parser() = default;

result<void> write_parser::feed(std::string_view piece) {
  if (!impl_->anything)
    impl_->anything = !trim(piece).empty();
  return impl_->feed(piece, true);
}

result<void> write_parser::finish() {
  if (impl_->anything) // an empty body is {}
    if (auto ended = impl_->feed({}, false); !ended)
      return ended;
  const auto& events = impl_->events();
  if (!events.path)
    return fail(errc::validation_failed, "path is required");
  if (!events.has_content)
    return fail(errc::validation_failed, "content is required");
  return caf::unit;
}

const std::optional<std::string>& write_parser::path() const noexcept { return impl_->events().path; }
std::optional<std::uint32_t> write_parser::mode() const noexcept { return impl_->events().mode; }
bool write_parser::base64() const noexcept { return impl_->events().base64; }
void write_parser::settle() noexcept { impl_->events().settled = true; }
std::string write_parser::take_content() { return std::exchange(impl_->events().content, {}); }
std::size_t write_parser::waiting_bytes() const noexcept { return impl_->events().content.size(); }

} // namespace sandy::http::codec
