#include "http/gateway/sse_lines.hpp"

#include <algorithm>

namespace sandy::http::gateway {

namespace {

constexpr std::string_view spaces = " \t";

// What an empty usage and the commas around it take at most, with some white
// space.
constexpr std::size_t tail_bytes = 64;

// No line that tells of tokens is longer: whoever writes more is not read for
// it.
constexpr std::size_t usage_line_bytes = 16 * 1024;

bool is_passed(std::string_view line) noexcept { return line.starts_with("data:") || line.starts_with(':'); }

/// Whether more of the line could make it one that is passed on.
bool may_be_passed(std::string_view begin) noexcept {
  return is_passed(begin) || std::string_view{"data:"}.starts_with(begin);
}

bool is_done(std::string_view line) noexcept {
  if (!line.starts_with("data:"))
    return false;
  line.remove_prefix(5);
  line.remove_prefix(std::min(line.find_first_not_of(spaces), line.size()));
  return line.substr(0, line.find_last_not_of(spaces) + 1) == "[DONE]";
}

} // namespace

void append_without_empty_usage(std::string& out, std::string_view line) {
  constexpr std::string_view key = "\"usage\"";
  for (auto at = line.find(key); at != std::string_view::npos; at = line.find(key, at + key.size())) {
    auto colon = line.find_first_not_of(spaces, at + key.size());
    auto value = colon == std::string_view::npos ? colon : line.find_first_not_of(spaces, colon + 1);
    if (value == std::string_view::npos || line[colon] != ':' || line.substr(value, 4) != "null")
      continue;
    auto next = line.find_first_not_of(spaces, value + 4);
    auto before = at == 0 ? std::string_view::npos : line.find_last_not_of(spaces, at - 1);
    if (next == std::string_view::npos || before == std::string_view::npos)
      continue;
    if (line[before] == ',') { // which goes with it
      out.append(line.substr(0, before));
    } else if (line[before] == '{') {
      out.append(line.substr(0, before + 1));
      next += line[next] == ',' ? 1 : 0;
    } else {
      continue;
    }
    line.remove_prefix(next);
    at = 0;
  }
  out.append(line);
}

/// Takes off the bytes before the end of the line, and the end.
std::string_view sse_lines::up_to_line_end(std::string_view& bytes, bool& ended) {
  auto end = bytes.find('\n');
  end = std::min(end, bytes.substr(0, end).find('\r')); // rare, and looking for both at once is slow
  ended = end != std::string_view::npos;
  auto part = bytes.substr(0, end);
  if (!ended) {
    bytes = {};
    return part;
  }
  after_cr_ = bytes[end] == '\r';
  bytes.remove_prefix(end + 1);
  return part;
}

void sse_lines::take_line(std::string_view line, std::string& out) {
  if (!is_passed(line))
    return;
  if (is_done(line)) {
    done_ = true;
    return;
  }
  if (line.front() == ':') {
    out.append(line);
  } else {
    ++data_lines_;
    if (line.find("\"usage\"") == std::string_view::npos) {
      out.append(line);
    } else {
      if (line.size() <= usage_line_bytes && line.find("_tokens\"") != std::string_view::npos)
        usage_line_.assign(line.substr(5));
      append_without_empty_usage(out, line);
    }
  }
  out.append("\n\n");
}

/// Passes on what is held of a long line, but for its last bytes.
void sse_lines::pass_held(std::size_t keep, std::string& out) {
  std::string cleaned;
  append_without_empty_usage(cleaned, held_);
  auto passed = cleaned.size() - std::min(keep, cleaned.size());
  out.append(cleaned, 0, passed);
  held_.assign(cleaned, passed);
}

void sse_lines::take_part(std::string_view part, bool ended, std::string& out) {
  switch (at_) {
  case place::dropping:
    break;
  case place::begin:
    held_.append(part);
    if (ended) {
      take_line(held_, out);
      held_.clear();
    } else if (!may_be_passed(held_)) {
      held_.clear();
      at_ = place::dropping;
    } else if (held_.size() > held_bytes) {
      at_ = place::passing;
      data_lines_ += held_.front() == ':' ? 0 : 1;
      pass_held(tail_bytes, out);
    }
    break;
  case place::passing:
    held_.append(part);
    if (ended) {
      pass_held(0, out);
      out.append("\n\n");
    } else if (held_.size() > held_bytes) {
      pass_held(tail_bytes, out);
    }
    break;
  }
  if (ended) {
    at_ = place::begin;
    held_.clear();
  }
}

void sse_lines::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && !done_) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    auto ended = false;
    auto part = up_to_line_end(bytes, ended);
    if (ended && at_ == place::begin && held_.empty())
      take_line(part, out); // the usual case: nothing is copied twice
    else
      take_part(part, ended, out);
  }
}

void sse_lines::finish(std::string& out) {
  if (!done_ && (at_ != place::begin || !held_.empty()))
    take_part({}, true, out);
}

void sse_lines::break_off(std::string& out) {
  if (at_ == place::passing) {
    pass_held(0, out);
    out.append("\n\n");
  }
  held_.clear();
  at_ = place::begin;
}

} // namespace sandy::http::gateway
