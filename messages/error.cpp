#include "messages/error.hpp"

#include <caf/atom.hpp>
#include <caf/sec.hpp>

namespace sandy {

std::string to_string(errc code) {
  switch (code) { // no default: the compiler leads a new code here
  case errc::none:
    return "none";
  case errc::invalid_argument:
    return "invalid_argument";
  case errc::validation_failed:
    return "validation_failed";
  case errc::unauthorized:
    return "unauthorized";
  case errc::forbidden:
    return "forbidden";
  case errc::route_not_found:
    return "route_not_found";
  case errc::sandbox_not_found:
    return "sandbox_not_found";
  case errc::file_not_found:
    return "file_not_found";
  case errc::process_not_found:
    return "process_not_found";
  case errc::method_not_allowed:
    return "method_not_allowed";
  case errc::conflict:
    return "conflict";
  case errc::payload_too_large:
    return "payload_too_large";
  case errc::header_too_large:
    return "header_too_large";
  case errc::rate_limited:
    return "rate_limited";
  case errc::capacity_exhausted:
    return "capacity_exhausted";
  case errc::shutting_down:
    return "shutting_down";
  case errc::deadline_exceeded:
    return "deadline_exceeded";
  case errc::client_timeout:
    return "client_timeout";
  case errc::sandbox_failed:
    return "sandbox_failed";
  case errc::sandbox_ended:
    return "sandbox_ended";
  case errc::image_not_found:
    return "image_not_found";
  case errc::is_directory:
    return "is_directory";
  case errc::not_a_directory:
    return "not_a_directory";
  case errc::permission_denied:
    return "permission_denied";
  case errc::file_exists:
    return "file_exists";
  case errc::directory_not_empty:
    return "directory_not_empty";
  case errc::disk_full:
    return "disk_full";
  case errc::range_not_satisfiable:
    return "range_not_satisfiable";
  case errc::digest_mismatch:
    return "digest_mismatch";
  case errc::limit_reached:
    return "limit_reached";
  case errc::feature_unavailable:
    return "feature_unavailable";
  case errc::upstream_error:
    return "upstream_error";
  case errc::cancelled:
    return "cancelled";
  case errc::internal:
    return "internal";
  case errc::sandbox_paused:
    return "sandbox_paused";
  case errc::port_not_exposed:
    return "port_not_exposed";
  case errc::container_not_found:
    return "container_not_found";
  }
  return "internal";
}

caf::error fail(errc code, std::string text) { return caf::make_error(code, std::move(text)); }

caf::error no_such_sandbox() { return fail(errc::sandbox_not_found, "Sandbox not found"); }

caf::error fail_for_now(errc code, std::string text, std::uint32_t retry_after) {
  return caf::make_error(code, std::move(text), retry_after);
}

std::uint32_t retry_after_of(const caf::error& err) {
  if (err && err.context().match_elements<std::string, std::uint32_t>())
    return err.context().get_as<std::uint32_t>(1);
  return 0;
}

errc code_of(const caf::error& err) {
  if (!err)
    return errc::none;
  if (err.category() == caf::atom("sandy"))
    return static_cast<errc>(err.code());
  if (err.category() == caf::atom("system")) {
    switch (static_cast<caf::sec>(err.code())) {
    case caf::sec::request_timeout:
      return errc::deadline_exceeded;
    case caf::sec::request_receiver_down:
      return errc::sandbox_ended;
    default:
      return errc::internal;
    }
  }
  return errc::internal;
}

std::string text_of(const caf::error& err) {
  if (err && !err.context().empty() && err.context().match_element<std::string>(0))
    return err.context().get_as<std::string>(0);
  switch (code_of(err)) {
  case errc::none:
    return "no error";
  case errc::deadline_exceeded:
    return "The server did not answer in time";
  case errc::sandbox_ended:
    return "Sandbox not found"; // its actor was gone: the words clients know
  case errc::sandbox_not_found:
    return "Sandbox not found";
  default:
    return "Internal error";
  }
}

} // namespace sandy
