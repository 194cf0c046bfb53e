#include "app/cli/sse_reader.hpp"

#include <utility>

namespace sandy::cli {

std::vector<sse_event> sse_reader::feed(std::string_view bytes) {
  std::vector<sse_event> done;
  while (!bytes.empty()) {
    if (std::exchange(after_return_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    auto end = bytes.find_first_of("\r\n");
    partial_ += bytes.substr(0, end);
    if (end == std::string_view::npos)
      break;
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    auto line = std::exchange(partial_, {});
    take_line(line, done);
  }
  return done;
}

void sse_reader::take_line(std::string_view line, std::vector<sse_event>& done) {
  if (line.empty()) {
    if (has_data_) {
      if (next_.name.empty())
        next_.name = "message";
      done.push_back(std::move(next_));
    }
    next_ = {};
    has_data_ = false;
    return;
  }
  auto colon = line.find(':');
  auto field = line.substr(0, colon); // empty for a comment
  auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (field == "event") {
    next_.name = value;
  } else if (field == "data") {
    if (std::exchange(has_data_, true))
      next_.data += '\n';
    next_.data += value;
  }
}

} // namespace sandy::cli
