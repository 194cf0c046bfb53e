#pragma once

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/make_message.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sandy {

/// Failure codes. Their names (`to_string`) are part of the wire contract and clients match on them; their
/// values cross nodes: append, never renumber or reuse.
enum class errc : std::uint8_t {
  none = 0,
  invalid_argument = 1,       ///< a field has a value that cannot be used
  validation_failed = 2,      ///< a field is missing or has the wrong type
  unauthorized = 3,           ///< no credentials, or none that we know
  forbidden = 4,              ///< known credentials that may not do this
  route_not_found = 5,        ///< no such route
  sandbox_not_found = 6,      ///< no such sandbox, gone, or somebody else's
  file_not_found = 7,         ///< no such file or directory in the sandbox
  process_not_found = 8,      ///< no such background process in the sandbox
  method_not_allowed = 9,     ///< the route exists, the method does not
  conflict = 10,              ///< the object's state does not allow this
  payload_too_large = 11,     ///< body over its limit
  header_too_large = 12,      ///< request line and headers over 64 KiB
  rate_limited = 13,          ///< a budget is spent; retry later
  capacity_exhausted = 14,    ///< this machine has no room; retry later
  shutting_down = 15,         ///< the server drains; retry elsewhere
  deadline_exceeded = 16,     ///< the request's deadline passed
  client_timeout = 17,        ///< the client was too slow in sending its request
  sandbox_failed = 18,        ///< the sandbox could not be created or broke
  sandbox_ended = 19,         ///< the sandbox ended while the request ran; the message says why
  image_not_found = 20,       ///< no such image in the image store
  is_directory = 21,          ///< a file was expected
  not_a_directory = 22,       ///< a directory was expected
  permission_denied = 23,     ///< the sandbox's kernel refused access
  file_exists = 24,           ///< the target exists and may not be replaced
  directory_not_empty = 25,   ///< a directory was to be removed without `recursive`
  disk_full = 26,             ///< the sandbox's disk bound is reached
  range_not_satisfiable = 27, ///< the byte range lies outside the file
  digest_mismatch = 28,       ///< the bytes received do not have the digest announced
  limit_reached = 29,         ///< a limit inside the sandbox (processes, files, memory) was hit
  feature_unavailable = 30,   ///< part of the contract that this server cannot honour
  upstream_error = 31,        ///< a program inside the sandbox did not answer properly
  cancelled = 32,             ///< the caller went away
  internal = 33,              ///< a bug of ours or a failure of the host
  sandbox_paused = 34,        ///< a caller paused the sandbox; it takes no commands before it is resumed
  port_not_exposed = 35,      ///< nobody without credentials reaches this port of the sandbox
  container_not_found = 36,   ///< the sandbox has no such container
  last_ = 36                  ///< the highest code, for tests that walk all of them
};

/// The code's name as clients see it, e.g. "sandbox_not_found".
std::string to_string(errc code);

/// What went wrong: a code and one sentence. Made with `fail`, read with `code_of` and `text_of`.
using caf::error;
template <class T>
using result = caf::expected<T>;

/// An error of ours. @param text one short sentence for people: no host paths, no other tenant's data.
caf::error fail(errc code, std::string text);

/// The same, for what works again later. @param retry_after seconds, at least 1; callers get it as
/// `Retry-After`.
caf::error fail_for_now(errc code, std::string text, std::uint32_t retry_after);

/// What a caller hears of a sandbox that is gone, never was, or is somebody else's: one text for all three.
caf::error no_such_sandbox();

/// Seconds after which a caller may try again; 0: the error does not say.
std::uint32_t retry_after_of(const caf::error& err);

/// Our code of any CAF error: CAF's own codes (timeouts, dead receivers) are translated.
errc code_of(const caf::error& err);

/// The sentence that came with the error; a default one for errors without.
std::string text_of(const caf::error& err);

} // namespace sandy

CAF_ERROR_CODE_ENUM(sandy::errc, "sandy")
