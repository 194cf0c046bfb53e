#pragma once

#include "messages/error.hpp"
#include "runtime/oci/limits.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <set>
#include <string>

namespace sandy::runtime::oci {

/// What a finished import leaves in its directory for whoever publishes it: digest, config, and layers.
inline constexpr const char* result_file = "result.json";

/// Whoever waits for an import. Both fail when nobody does any more: then the import ends.
struct progress_listener {
  std::function<result<void>(const nlohmann::json& step)> tell; ///< of every step
  std::function<result<void>()> go_on;                          ///< asked often
};

/// Makes the layers of the image in an archive: `<directory>/layers/<diff id>/tree`, those in `known` not
/// again, and then `result.json`. All is on disk when it returns. Blocking. Fails with invalid_argument,
/// digest_mismatch, payload_too_large, capacity_exhausted, cancelled, internal; the directory is to be
/// removed then.
/// @param archive read to its end. @param directory the working directory of the import, empty.
result<void> import_image(int archive, int directory, const std::set<std::string>& known,
                          const import_limits& limits, const progress_listener& on_progress);

} // namespace sandy::runtime::oci
