#pragma once

#include "messages/error.hpp"
#include "runtime/oci/limits.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sandy::runtime::oci {

/// A name as the archive means it, without "." and "..": "blobs/sha256/..."; empty for what leads out of the
/// archive, or means the archive itself.
std::string plain_name(std::string_view name);

/// The files of the archive that an image comes in, in a directory, under numbers: no name of the archive
/// becomes a path.
class archive_files {
public:
  struct file {
    std::uint64_t number = 0;
    std::uint64_t size = 0;
    std::string sha256; ///< of its bytes, in hex
  };

  /// Reads a whole archive. @param archive read to its end. @param directory empty; outlives this. @param
  /// go_on asked often; what it fails with ends the reading. Fails with invalid_argument, payload_too_large,
  /// capacity_exhausted, internal.
  static result<archive_files> read(int archive, int directory, const import_limits& limits,
                                    const std::function<result<void>()>& go_on);

  /// The file of that plain name, also through links of the archive; nullptr: there is none.
  const file* find(std::string_view name) const;
  /// Fails with internal.
  result<unique_fd> open(const file& which) const;
  /// The content of a small file. Fails with payload_too_large.
  result<std::string> text(const file& which, std::uint64_t most) const;
  /// Lets go of the bytes of a file that nobody reads any more.
  void drop(const file& which) const;

private:
  explicit archive_files(int directory)
      : directory_(directory) {}

  int directory_;
  std::map<std::string, file, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> links_; ///< plain names, both
};

} // namespace sandy::runtime::oci
