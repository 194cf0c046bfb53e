#pragma once

#include "messages/error.hpp"
#include "runtime/oci/sha256.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct archive;
struct archive_entry;

namespace sandy::runtime::oci {

struct archive_freed {
  void operator()(archive* reader) const;
};
using archive_handle = std::unique_ptr<archive, archive_freed>;

/// The bytes of a file that may be compressed with gzip or zstd, as they are without. Blocking.
class plain_stream {
public:
  /// @param file is read from where it stands and outlives this. @param budget what is left of the bytes that
  /// may come; outlives this.
  plain_stream(int file, std::uint64_t& budget);

  /// The next piece, empty at the end; valid until the next call. Fails with invalid_argument for what is cut
  /// or damaged, with payload_too_large when the budget is spent.
  result<std::string_view> next();

  /// Reads what is left.
  result<void> drain();

  /// Of everything that was read. Once.
  std::string sha256_hex() { return digest_.hex(); }

private:
  result<void> open();

  int file_;
  std::uint64_t& budget_;
  archive_handle reader_;
  bool opened_ = false;
  bool ended_ = false;
  std::vector<char> buffer_;
  sha256 digest_;
};

/// A piece of a file's content; between pieces there are holes.
struct data_piece {
  std::string_view bytes;
  std::int64_t offset = 0;
};

/// The entries of a tar archive: ustar, pax and GNU, sparse files and long names among them. Blocking.
class tar_reader {
public:
  /// @param from outlives this.
  explicit tar_reader(plain_stream& from);

  /// The next entry, which lives until the next call; nullptr at the end. Fails as plain_stream::next.
  result<archive_entry*> next();
  /// The next piece of the entry's content; none at its end. Fails as plain_stream::next.
  result<std::optional<data_piece>> data();

private:
  caf::error failure();
  static std::int64_t read_more(archive* reader, void* self, const void** into);

  plain_stream& from_;
  caf::error broken_; ///< why the bytes below stopped
  archive_handle reader_;
  bool opened_ = false;
};

} // namespace sandy::runtime::oci
