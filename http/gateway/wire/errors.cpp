#include "http/gateway/wire/errors.hpp"

#include "http/errors.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace sandy::http::gateway::wire {

namespace {

using nlohmann::json;

std::string dump(const json& body) { return body.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string_view messages_type(unsigned status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 413:
    return "request_too_large";
  case 429:
    return "rate_limit_error";
  case 503:
    return "overloaded_error";
  case 504:
    return "timeout_error";
  default:
    return status < 500 ? "invalid_request_error" : "api_error";
  }
}

std::string_view responses_type(unsigned status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 429:
    return "rate_limit_error";
  default:
    return status < 500 ? "invalid_request_error" : "server_error";
  }
}

} // namespace

std::string messages_error(const caf::error& err) {
  auto text = text_of(err);
  return dump(
      {{"type", "error"},
       {"error",
        {{"type", messages_type(to_status(err))}, {"message", text}, {"code", to_string(code_of(err))}}},
       {"detail", text}});
}

std::string responses_error(const caf::error& err) {
  auto text = text_of(err);
  return dump({{"error",
                {{"message", text},
                 {"type", responses_type(to_status(err))},
                 {"param", nullptr},
                 {"code", to_string(code_of(err))}}},
               {"detail", text}});
}

std::string responses_error_code(const caf::error& err) {
  switch (to_status(err)) {
  case 429:
    return "rate_limit_exceeded";
  case 503:
    return "server_is_overloaded";
  default:
    return to_status(err) < 500 ? "invalid_prompt" : "server_error";
  }
}

} // namespace sandy::http::gateway::wire
