#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::platform {

/// What an answer says of the tokens it took.
struct token_counts {
  std::uint64_t input = 0;
  std::uint64_t output = 0;
  friend bool operator==(const token_counts&, const token_counts&) = default;
};

/// Finds `usage` and `model` in JSON that comes in pieces of any size, in constant memory and without
/// building anything. What is no JSON says nothing. Understands the objects `usage` of chat completions and
/// embeddings (prompt_tokens, completion_tokens), and of messages and responses (input_tokens,
/// output_tokens), at the top, or in `message` or `response`, where streams have it; elsewhere may be what
/// the asker wrote. Counts that come several times are the sums so far: the largest holds.
class usage_scan {
public:
  void feed(std::string_view bytes);
  /// Another text follows; what was found is kept.
  void next_text();

  /// None: nothing was said.
  std::optional<token_counts> counts() const;
  /// As far as one was named; at most 128 bytes.
  const std::string& model() const noexcept { return model_; }

private:
  enum class field : std::uint8_t {
    other,
    usage,
    model,
    answer, ///< that an event tells of
    input,
    output,
    total,
    cache_read,
    cache_written
  };
  static constexpr std::size_t watched = 4; ///< depths whose keys matter; the outermost object is 1
  static constexpr std::size_t most_text = 128;

  void begin_container(bool object);
  void end_container() noexcept;
  void end_string();
  void end_number();
  field key_at(std::size_t depth) const noexcept { return depth < watched ? keys_[depth] : field::other; }
  void in_string(char c);
  /// An object's members that are read: of the outermost, or of the answer in an event.
  bool top(std::size_t depth) const noexcept {
    return depth == 1 || (depth == 2 && key_at(1) == field::answer);
  }

  std::array<field, watched> keys_{};
  std::array<bool, watched> objects_{};
  std::size_t depth_ = 0;
  bool string_ = false;
  bool escaped_ = false;
  bool odd_ = false;   ///< the text has escapes that nobody needs in what is looked for, or is too long
  bool fresh_ = false; ///< `text_` is a string that has just ended: a key, if a colon follows
  std::string text_;
  std::string number_;

  std::string model_;
  std::uint64_t input_ = 0, output_ = 0, total_ = 0, cache_read_ = 0, cache_written_ = 0;
  bool told_ = false;
};

/// The form of an answer's body.
enum class answer_form : std::uint8_t { other, json, events };
/// Of a Content-Type.
answer_form form_of(std::string_view content_type);

/// Reads what passes: where events end, and what an answer says of its tokens. Constant memory.
class usage_reader {
public:
  explicit usage_reader(answer_form form)
      : form_(form) {}

  /// Takes all of it, or of server-sent events up to the end of the first. @returns how many bytes.
  std::size_t take(std::string_view bytes);
  /// Between two events: what is put here is an event of its own. For other forms false.
  bool between_events() const noexcept { return form_ == answer_form::events && between_; }

  answer_form form() const noexcept { return form_; }
  std::optional<token_counts> counts() const { return scan_.counts(); }
  const std::string& model() const noexcept { return scan_.model(); }
  /// Events with data so far; `[DONE]` is none.
  std::uint64_t events() const noexcept { return events_; }
  /// Bytes so far.
  std::uint64_t bytes() const noexcept { return bytes_; }
  /// The event `[DONE]` came.
  bool done() const noexcept { return done_; }

private:
  bool take_event_byte(char c);
  bool end_line();

  answer_form form_;
  usage_scan scan_;
  bool between_ = true;
  bool after_return_ = false; ///< the last byte was CR: a LF belongs to it
  std::string name_;          ///< of the line's field, as far as "data:" and one space; then `in_data_`
  bool in_data_ = false;
  bool other_line_ = false; ///< a field or comment that nobody reads
  bool empty_line_ = true;
  bool data_ = false; ///< the event has some
  std::string start_; ///< of its data, as far as "[DONE]"
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;
  bool done_ = false;
};

} // namespace sandy::http::platform
