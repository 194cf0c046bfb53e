#include "http/sse.hpp"

namespace sandy::http {

namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty())
    return;
  out.append(name).append(": ");
  for (char c : value)
    if (c != '\n' && c != '\r' && c != '\0')
      out.push_back(c);
  out.push_back('\n');
}

} // namespace

void append_event(std::string& out, const sse_event& event) {
  append_field(out, "event", event.event);
  append_field(out, "id", event.id);
  auto rest = event.data;
  for (;;) {
    auto end = rest.find_first_of("\r\n");
    out.append("data: ").append(rest.substr(0, end)).push_back('\n');
    if (end == std::string_view::npos)
      break;
    rest.remove_prefix(end + (rest.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  out.push_back('\n');
}

} // namespace sandy::http
