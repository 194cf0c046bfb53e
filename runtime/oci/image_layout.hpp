#pragma once

#include "messages/error.hpp"
#include "runtime/oci/archive_files.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace sandy::runtime::oci {

/// The processor of this machine as images name it: "amd64", "arm64".
std::string this_architecture();

/// A layer as the archive has it.
struct packed_layer {
  archive_files::file file;
  std::string diff_id; ///< the SHA-256 of its tar without compression, in hex
};

/// An image as its archive describes it.
struct image_layout {
  std::string digest;    ///< "sha256:" and hex: of its manifest, or of its configuration where there is none
  nlohmann::json config; ///< how programs want to be started: Env, Cmd, WorkingDir, ...
  std::vector<packed_layer> layers; ///< lowest first; no two of the same content
};

/// Finds the image for Linux and `architecture` in an archive and checks everything but the content of its
/// layers. @param most_layers that it may have. Fails with invalid_argument, digest_mismatch and
/// payload_too_large, with a sentence for whoever sent the archive.
result<image_layout> find_image(const archive_files& files, const std::string& architecture,
                                std::size_t most_layers, const import_limits& limits);

} // namespace sandy::runtime::oci
