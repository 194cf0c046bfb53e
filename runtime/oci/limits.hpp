#pragma once

#include <cstdint>

namespace sandy::runtime::oci {

/// What an archive may cost.
struct import_limits {
  std::uint64_t bytes = 16ull << 30;      ///< of the archive without compression, and of all layers unpacked
  std::uint64_t entries = 1'000'000;      ///< files, directories and links of all layers
  std::uint64_t archive_files = 10'000;   ///< files of the archive itself
  std::uint64_t document_bytes = 4 << 20; ///< of an index, a manifest, a configuration
};

} // namespace sandy::runtime::oci
