#pragma once

#include "messages/error.hpp"
#include "messages/image.hpp"
#include "messages/image_names.hpp"
#include "runtime/unique_fd.hpp"

#include <memory>
#include <optional>
#include <string>

namespace sandy::runtime {

/// An archive on its way to becoming an image. Whoever has it writes the archive into `archive`, closes that,
/// and reads `progress` to its end; meanwhile `finish` runs. It fails soon after either end was closed early.
class image_import {
public:
  virtual ~image_import() = default;

  unique_fd archive;  ///< a pipe for the bytes of the archive; none: it comes from elsewhere
  unique_fd progress; ///< a pipe with lines of JSON: what is being done

  /// Unpacks, verifies and publishes the image; nothing is left of it otherwise. Once. Blocking, as long as
  /// the archive takes to come. Fails with invalid_argument (the archive), digest_mismatch,
  /// payload_too_large, capacity_exhausted (the disk), conflict (an image that was built has the name),
  /// cancelled, internal; where it is fetched, as oci::pull, too.
  virtual result<image_info> finish() = 0;
};

/// Where an archive comes from: through the pipe, unless something else is said.
struct import_source {
  std::optional<std::string> file; ///< a path of this machine below a directory that the operator allows
  std::optional<image_reference> reference; ///< fetched from a registry that the operator allows
  bool told = true;                         ///< false: nobody reads `progress`, which there is none of
};

/// Makes images from archives. Thread safe, blocking.
class image_importer {
public:
  virtual ~image_importer() = default;

  /// Fails with invalid_argument (the name), forbidden or file_not_found (the file), forbidden (the
  /// registry), conflict, capacity_exhausted (too many at once).
  virtual result<std::shared_ptr<image_import>> begin(const std::string& name, const import_source& from) = 0;
};

} // namespace sandy::runtime
