#include "http/platform/answers.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::platform {

namespace {

nlohmann::json refusal_json(std::string_view code, std::string_view detail) {
  return {{"detail", detail}, {"error", {{"code", code}, {"type", code}, {"message", detail}}}};
}

} // namespace

std::string refusal_body(std::string_view code, std::string_view detail) {
  return refusal_json(code, detail).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

io_task<void> refuse(exchange& ex, unsigned status, std::string_view code, std::string detail,
                     header_list extra) {
  co_await ex.reply_bytes(status, "application/json", refusal_body(code, detail), std::move(extra));
}

std::string last_events(std::string_view code, std::string_view detail) {
  auto data = refusal_json(code, detail);
  data["type"] = "error";
  return "data: " + data.dump() + "\n\ndata: [DONE]\n\n";
}

std::string budget_sentence(spent_part part) {
  auto what = part == spent_part::cost ? std::string{"money"} : std::string{to_string(part)};
  return "This sandbox has used up its budget of " + what;
}

} // namespace sandy::http::platform
