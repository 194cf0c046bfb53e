#include "http/platform/usage_reader.hpp"

#include "http/codec/fields.hpp"

#include <algorithm>
#include <charconv>

namespace sandy::http::platform {

namespace {

constexpr std::string_view data_field = "data:";
constexpr std::string_view last_data = "[DONE]";
/// More than any model takes: what is larger is a mistake, and would only overflow sums.
constexpr std::uint64_t most_tokens = 1'000'000'000;

} // namespace

void usage_scan::next_text() {
  keys_ = {};
  depth_ = 0;
  string_ = escaped_ = odd_ = fresh_ = false;
  text_.clear();
  number_.clear();
}

std::optional<token_counts> usage_scan::counts() const {
  if (!told_)
    return std::nullopt;
  // Who counts what was read from a cache apart has it in no other number.
  token_counts all{input_ + cache_read_ + cache_written_, output_};
  if (all.input + all.output < total_)
    (all.output == 0 ? all.input : all.output) += total_ - all.input - all.output;
  return all;
}

void usage_scan::feed(std::string_view bytes) {
  for (char c : bytes) {
    if (string_) {
      in_string(c);
      continue;
    }
    const auto in_number = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
    if (in_number) {
      if (number_.size() < most_text)
        number_ += c;
      continue;
    }
    if (!number_.empty())
      end_number();
    switch (c) {
    case '"':
      string_ = true;
      odd_ = fresh_ = false;
      text_.clear();
      break;
    case '{':
    case '[':
      begin_container(c == '{');
      break;
    case '}':
    case ']':
      end_container();
      break;
    case ':':
      if (depth_ < watched && depth_ > 0 && objects_[depth_]) {
        struct known {
          std::string_view name;
          field what;
        };
        static constexpr known names[]{{"usage", field::usage},
                                       {"model", field::model},
                                       {"message", field::answer},
                                       {"response", field::answer},
                                       {"prompt_tokens", field::input},
                                       {"input_tokens", field::input},
                                       {"completion_tokens", field::output},
                                       {"output_tokens", field::output},
                                       {"total_tokens", field::total},
                                       {"cache_read_input_tokens", field::cache_read},
                                       {"cache_creation_input_tokens", field::cache_written}};
        auto* found =
            std::ranges::find(names, fresh_ ? std::string_view{text_} : std::string_view{}, &known::name);
        keys_[depth_] = found == std::end(names) ? field::other : found->what;
      }
      fresh_ = false;
      break;
    case ',':
      fresh_ = false;
      break;
    default:
      break;
    }
  }
}

void usage_scan::in_string(char c) {
  if (escaped_) {
    escaped_ = false;
    if (c == '/' || c == '"' || c == '\\')
      text_ += c;
    else
      odd_ = true;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    string_ = false;
    end_string();
  } else if (text_.size() < most_text) {
    text_ += c;
  } else {
    odd_ = true;
  }
}

void usage_scan::end_string() {
  if (odd_)
    text_.clear();
  // A string behind a colon is a value; where it is one of no interest it may pass for a key: no colon
  // follows.
  if (!odd_ && top(depth_) && key_at(depth_) == field::model && !text_.empty())
    model_ = text_;
  fresh_ = !odd_;
  if (depth_ < watched && depth_ > 0)
    keys_[depth_] = field::other;
}

void usage_scan::end_number() {
  std::uint64_t value = 0;
  auto [end, wrong] = std::from_chars(number_.data(), number_.data() + number_.size(), value);
  const auto whole = wrong == std::errc{} && end == number_.data() + number_.size() && value <= most_tokens;
  number_.clear();
  if (!whole || depth_ < 2 || !top(depth_ - 1) || key_at(depth_ - 1) != field::usage)
    return;
  switch (key_at(depth_)) {
  case field::input:
    input_ = std::max(input_, value);
    break;
  case field::output:
    output_ = std::max(output_, value);
    break;
  case field::total:
    total_ = std::max(total_, value);
    break;
  case field::cache_read:
    cache_read_ = std::max(cache_read_, value);
    break;
  case field::cache_written:
    cache_written_ = std::max(cache_written_, value);
    break;
  default:
    return;
  }
  told_ = true;
}

void usage_scan::begin_container(bool object) {
  fresh_ = false;
  ++depth_;
  if (depth_ < watched) {
    objects_[depth_] = object;
    keys_[depth_] = field::other;
  }
}

void usage_scan::end_container() noexcept {
  fresh_ = false;
  if (depth_ > 0)
    --depth_;
  if (depth_ < watched)
    keys_[depth_] = field::other;
}

answer_form form_of(std::string_view content_type) {
  auto type = codec::lower(codec::trim(content_type.substr(0, content_type.find(';'))));
  if (type == "text/event-stream")
    return answer_form::events;
  return type == "application/json" || type.ends_with("+json") ? answer_form::json : answer_form::other;
}

std::size_t usage_reader::take(std::string_view bytes) {
  if (form_ != answer_form::events) {
    if (form_ == answer_form::json)
      scan_.feed(bytes);
    bytes_ += bytes.size();
    return bytes.size();
  }
  std::size_t count = 0;
  for (auto ended = false; count < bytes.size() && !ended;) {
    // The inside of a long line is nobody's but the scan's.
    if (in_data_) {
      auto rest = bytes.substr(count);
      auto text = rest.substr(0, rest.find_first_of("\r\n"));
      if (start_.size() <= last_data.size())
        start_.append(text.substr(0, last_data.size() + 1 - start_.size()));
      scan_.feed(text);
      count += text.size();
      if (count == bytes.size())
        break;
    }
    ended = take_event_byte(bytes[count++]);
  }
  bytes_ += count;
  return count;
}

/// @returns whether it ended an event.
bool usage_reader::take_event_byte(char c) {
  if (c == '\n' && after_return_) {
    after_return_ = false;
    return false;
  }
  after_return_ = c == '\r';
  if (c == '\n' || c == '\r')
    return end_line();
  between_ = false;
  empty_line_ = false;
  if (other_line_)
    return false;
  name_ += c;
  if (name_ == data_field) {
    // The colon of a line without a value: what follows may be a space that is not part of it; JSON does not
    // care.
    in_data_ = data_ = true;
  } else if (!data_field.starts_with(name_)) {
    other_line_ = true;
  }
  return false;
}

/// @returns whether an event ended.
bool usage_reader::end_line() {
  const auto ends_event = empty_line_;
  if (in_data_)
    scan_.feed("\n");
  name_.clear();
  in_data_ = other_line_ = false;
  empty_line_ = true;
  if (!ends_event)
    return false;
  if (data_) {
    auto text = codec::trim(start_);
    if (text == last_data)
      done_ = true;
    else
      ++events_;
  }
  scan_.next_text();
  start_.clear();
  data_ = false;
  between_ = true;
  return true;
}

} // namespace sandy::http::platform
