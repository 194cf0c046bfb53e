#pragma once

#include "messages/error.hpp"
#include "messages/image_names.hpp"
#include "runtime/process.hpp"
#include "runtime/unique_fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sandy::runtime::oci {

struct registry_options {
  std::string skopeo;                ///< absolute path of the program
  std::vector<std::string> allowed;  ///< registries, each with or without the beginning of a path
  std::vector<std::string> insecure; ///< registries, among those, that need not prove who they are
  std::string auth_file;             ///< credentials, as skopeo login writes them; empty: none
  uid_t uid = 65534;                 ///< skopeo runs as it; nobody else does
  std::chrono::milliseconds timeout = std::chrono::minutes{10}; ///< for one image
};

/// Whether the operator allows images from there.
bool is_allowed(const registry_options& options, const image_reference& reference);

/// Fetches one image from its registry with skopeo, which verifies digests, and signatures where the
/// machine's policy wants them. It runs without rights, as a user of its own, and writes into a directory of
/// its own, which is watched. Blocking.
/// @param directory nobody else may write there; a directory `pull` is left in it.
/// @param most_bytes of the archive and of everything on the way to it, together
/// @param go_on called twice a second with the bytes so far; when it fails, so does this
/// @returns the archive, opened for reading. Fails with image_not_found (the registry has none),
/// upstream_error (it cannot be reached, wants other credentials, or answers nonsense), digest_mismatch,
/// payload_too_large, deadline_exceeded, capacity_exhausted (the disk), feature_unavailable (no skopeo).
result<unique_fd> pull(const registry_options& options, const image_reference& reference,
                       const std::string& directory, std::uint64_t most_bytes,
                       const std::function<result<void>(std::uint64_t)>& go_on);

} // namespace sandy::runtime::oci
