#include "http/errors.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http {

unsigned to_status(errc code) noexcept {
  // clang-format off
  switch (code) { // no default: the compiler leads a new code here
  case errc::none: return 200;
  case errc::invalid_argument: return 400;
  case errc::validation_failed: return 422;
  case errc::unauthorized: return 401;
  case errc::forbidden: return 403;
  case errc::route_not_found: return 404;
  case errc::sandbox_not_found: return 404;
  case errc::file_not_found: return 404;
  case errc::process_not_found: return 404;
  case errc::method_not_allowed: return 405;
  case errc::conflict: return 409;
  case errc::payload_too_large: return 413;
  case errc::header_too_large: return 431;
  case errc::rate_limited: return 429;
  case errc::capacity_exhausted: return 503;
  case errc::shutting_down: return 503;
  case errc::deadline_exceeded: return 504;
  case errc::client_timeout: return 408;
  case errc::sandbox_failed: return 502; // clients retry it; a 500 would read as a bug of ours
  case errc::sandbox_ended: return 404;  // what every later request to it answers
  case errc::image_not_found: return 400;
  case errc::is_directory: return 400;
  case errc::not_a_directory: return 400;
  case errc::permission_denied: return 403;
  case errc::file_exists: return 409;
  case errc::directory_not_empty: return 409;
  case errc::disk_full: return 507;
  case errc::range_not_satisfiable: return 416;
  case errc::digest_mismatch: return 422;
  case errc::limit_reached: return 409; // not 429: trying again changes nothing inside the sandbox
  case errc::feature_unavailable: return 501;
  case errc::upstream_error: return 502;
  case errc::cancelled: return 499;
  case errc::internal: return 500;
  case errc::sandbox_paused: return 409;
  case errc::port_not_exposed: return 404;
  case errc::container_not_found: return 404;
  }
  // clang-format on
  return 500;
}

unsigned to_status(const caf::error& err) { return to_status(code_of(err)); }

namespace {

std::string detail_of(const caf::error& err, errc code) {
  if (code == errc::sandbox_not_found)
    return "Sandbox not found";
  if (code == errc::route_not_found)
    return "Not Found";
  if (code == errc::unauthorized)
    return "Unauthorized";
  return text_of(err);
}

} // namespace

std::string error_body(const caf::error& err) {
  auto code = code_of(err);
  auto detail = detail_of(err, code);
  nlohmann::json body{{"detail", detail}, {"error", {{"code", to_string(code)}, {"message", detail}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

unsigned retry_after(const caf::error& err) noexcept {
  switch (code_of(err)) {
  case errc::rate_limited:
  case errc::capacity_exhausted:
  case errc::shutting_down:
    return std::max(1u, retry_after_of(err));
  default:
    return 0;
  }
}

} // namespace sandy::http
