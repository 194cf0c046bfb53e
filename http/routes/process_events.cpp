#include "http/routes/process_events.hpp"

#include "http/codec/base64.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/utf8.hpp"
#include "http/errors.hpp"
#include "http/routes/event_pump.hpp"
#include "http/sse.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace sandy::http::routes {

std::string error_data(const caf::error& err) { return error_body(err); }

void process_event_text::emit(std::string& out, output_stream stream, std::uint64_t offset,
                              std::string_view bytes) {
  if (bytes.empty())
    return;
  auto data = "{\"offset\":" + std::to_string(offset);
  if (codec::is_utf8(bytes)) {
    data += ",\"text\":\"";
    codec::append_json_escaped(data, bytes);
  } else {
    data += ",\"base64\":\"";
    data += codec::base64_encode(bytes);
  }
  data += "\"}";
  auto name = stream == output_stream::standard_output ? "stdout" : "stderr";
  append_event(out, {name, data, std::to_string(offset + bytes.size())});
}

void process_event_text::flush(std::string& out) {
  emit(out, held_.stream, held_.offset, held_.bytes);
  held_.bytes.clear();
}

void process_event_text::add_chunk(std::string& out, output_chunk chunk) {
  if (!held_.bytes.empty()) {
    if (held_.stream == chunk.stream && held_.offset + held_.bytes.size() == chunk.offset) {
      chunk.bytes.insert(0, held_.bytes);
      chunk.offset = held_.offset;
      held_.bytes.clear();
    } else {
      flush(out);
    }
  }
  auto whole = chunk.bytes.size() - codec::utf8_incomplete_tail(chunk.bytes);
  emit(out, chunk.stream, chunk.offset, std::string_view{chunk.bytes}.substr(0, whole));
  held_ = {chunk.stream, chunk.offset + whole, chunk.bytes.substr(whole)};
}

bool process_event_text::add(std::string& out, process_event event) {
  if (auto* chunk = std::get_if<output_chunk>(&event)) {
    add_chunk(out, std::move(*chunk));
    return false;
  }
  flush(out);
  if (auto* gap = std::get_if<output_gap>(&event)) {
    nlohmann::json data{{"from", gap->from}, {"to", gap->to}};
    append_event(out, {"gap", data.dump(), std::to_string(gap->to)});
    return false;
  }
  if (std::holds_alternative<still_running>(event)) {
    append_event(out, {"running", "{}", {}});
    return true;
  }
  append_event(out, {"exit", codec::exit_json(std::get<process_exit>(event)).dump(), {}});
  return true;
}

} // namespace sandy::http::routes
