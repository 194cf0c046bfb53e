#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sandy::runtime::oci {

/// What an import made, as it says itself in its result_file.
struct import_outcome {
  struct layer {
    std::string diff_id; ///< 64 hex digits
    std::uint64_t size_bytes = 0;
    std::uint64_t inodes = 0;
  };
  std::string digest; ///< "sha256:" and 64 hex digits
  nlohmann::json config;
  std::vector<layer> layers; ///< lowest first, none twice
};

/// Reads and checks what an import left in its directory. Fails with internal: the helper that wrote it did
/// not work as it should.
result<import_outcome> read_import(int directory);

/// The image.json of an imported image. @param layers directories of the store, lowest first.
nlohmann::json image_document(const std::string& name, const import_outcome& from, nlohmann::json layers,
                              std::uint64_t size_bytes, std::uint64_t inodes);

/// Whether an image.json is of an image that was imported.
bool is_imported_document(const nlohmann::json& document);

} // namespace sandy::runtime::oci
