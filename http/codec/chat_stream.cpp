#include "http/codec/chat_stream.hpp"

#include "http/codec/utf8.hpp"
#include "http/errors.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::codec {

namespace {

constexpr std::string_view end_line = "data: [DONE]\n\n";

} // namespace

bool chat_stream::is_end() const noexcept {
  if (line_bytes_ > longest || !line_.starts_with("data:"))
    return false;
  std::string_view value{line_};
  value.remove_prefix(5);
  auto first = value.find_first_not_of(' ');
  if (first == std::string_view::npos)
    return false;
  value = value.substr(first, value.find_last_not_of(" \r") - first + 1);
  return value == "[DONE]";
}

std::size_t chat_stream::take(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !done_) {
    auto end = bytes.find('\n', taken);
    auto part = bytes.substr(taken, end - taken);
    if (line_.size() < longest)
      line_ += part.substr(0, longest - line_.size());
    line_bytes_ += part.size();
    if (end == std::string_view::npos)
      return bytes.size();
    taken = end + 1;
    done_ = is_end();
    event_open_ = line_bytes_ != 0 && line_ != "\r";
    line_.clear();
    line_bytes_ = 0;
  }
  return taken;
}

std::string chat_stream::closing(const caf::error& why) const {
  if (done_)
    return "\n"; // the empty line that makes an event of it
  std::string text;
  if (line_bytes_ != 0)
    text = "\n";
  if (line_bytes_ != 0 && is_end()) // all of it came, whatever broke off behind it
    return "\n\n";
  if (line_bytes_ != 0 || event_open_)
    text += "\n";
  if (why) {
    auto body = nlohmann::json::parse(error_body(why));
    nlohmann::json event{
        {"error", {{"message", body["detail"]}, {"type", "server_error"}, {"code", body["error"]["code"]}}}};
    text += "data: " + event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n\n";
  }
  return text += end_line;
}

} // namespace sandy::http::codec
