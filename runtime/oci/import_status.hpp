#pragma once

#include "messages/error.hpp"

#include <utility>

namespace sandy::runtime::oci {

/// How sandy-import-image says by its exit status why it failed; every other status is `internal`.
inline constexpr std::pair<int, errc> import_statuses[] = {{3, errc::invalid_argument},
                                                           {4, errc::payload_too_large},
                                                           {5, errc::capacity_exhausted},
                                                           {6, errc::digest_mismatch},
                                                           {7, errc::cancelled}};

} // namespace sandy::runtime::oci
