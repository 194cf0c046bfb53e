#include "agents/line_splitter.hpp"

#include "agents/json_text.hpp"

#include <utility>

namespace sandy::agents {

std::string_view line_splitter::shed(std::string_view text, std::size_t most, const receiver& each) {
  while (text.size() > most) {
    auto piece = text.substr(0, cut_at(text, longest_));
    each({piece, false, !std::exchange(broken_, true)});
    text.remove_prefix(piece.size());
  }
  return text;
}

void line_splitter::emit(std::string_view text, const receiver& each) {
  if (text.ends_with('\r'))
    text.remove_suffix(1);
  text = shed(text, longest_, each);
  if (auto broken = std::exchange(broken_, false); !broken || !text.empty())
    each({text, !broken, !broken});
}

void line_splitter::hold(std::string_view text, const receiver& each) {
  held_ += text;
  // One byte more than a longest line is kept: it may be the CR of its end.
  auto rest = shed(held_, longest_ + 1, each).size();
  held_.erase(0, held_.size() - rest);
}

void line_splitter::feed(std::string_view bytes, const receiver& each) {
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    auto rest = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    // Most lines arrive in one part; those need no copy.
    if (held_.empty() && !broken_) {
      emit(rest, each);
      continue;
    }
    hold(rest, each);
    emit(held_, each);
    held_.clear();
  }
  hold(bytes, each);
}

void line_splitter::finish(const receiver& each) {
  if (!held_.empty())
    emit(held_, each);
  held_.clear();
  broken_ = false;
}

} // namespace sandy::agents
