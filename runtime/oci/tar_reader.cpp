#include "runtime/oci/tar_reader.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>

namespace sandy::runtime::oci {

namespace {

constexpr std::size_t piece_bytes = 256 * 1024;

caf::error damaged(archive* reader) {
  const char* text = ::archive_error_string(reader);
  return fail(errc::invalid_argument,
              std::string{"The archive cannot be read: "} + (text != nullptr ? text : "it is damaged"));
}

archive_handle make_reader() {
  archive_handle reader{::archive_read_new()};
  if (!reader)
    throw std::bad_alloc{};
  return reader;
}

} // namespace

void archive_freed::operator()(archive* reader) const { ::archive_read_free(reader); }

plain_stream::plain_stream(int file, std::uint64_t& budget)
    : file_(file)
    , budget_(budget)
    , reader_(make_reader())
    , buffer_(piece_bytes) {
  // Nothing else: every further format is more code that strangers reach.
  ::archive_read_support_filter_gzip(reader_.get());
  ::archive_read_support_filter_zstd(reader_.get());
  ::archive_read_support_format_raw(reader_.get());
  ::archive_read_support_format_empty(reader_.get());
}

result<void> plain_stream::open() {
  opened_ = true;
  if (::archive_read_open_fd(reader_.get(), file_, piece_bytes) != ARCHIVE_OK)
    return damaged(reader_.get());
  archive_entry* all = nullptr;
  auto outcome = ::archive_read_next_header(reader_.get(), &all);
  ended_ = outcome == ARCHIVE_EOF;
  if (!ended_ && outcome != ARCHIVE_OK)
    return damaged(reader_.get());
  return caf::unit;
}

result<std::string_view> plain_stream::next() {
  if (!opened_)
    if (auto begun = open(); !begun)
      return std::move(begun.error());
  if (ended_)
    return std::string_view{};
  auto count = ::archive_read_data(reader_.get(), buffer_.data(), buffer_.size());
  if (count < 0)
    return damaged(reader_.get());
  std::string_view piece{buffer_.data(), static_cast<std::size_t>(count)};
  ended_ = piece.empty();
  if (piece.size() > budget_)
    return fail(errc::payload_too_large, "The image is larger than this server takes");
  budget_ -= piece.size();
  digest_.update(piece);
  return piece;
}

result<void> plain_stream::drain() {
  for (;;) {
    auto piece = next();
    if (!piece)
      return std::move(piece.error());
    if (piece->empty())
      return caf::unit;
  }
}

tar_reader::tar_reader(plain_stream& from)
    : from_(from)
    , reader_(make_reader()) {
  ::archive_read_support_format_tar(reader_.get());
  ::archive_read_support_format_empty(reader_.get());
}

std::int64_t tar_reader::read_more(archive* reader, void* self, const void** into) {
  auto& me = *static_cast<tar_reader*>(self);
  auto piece = me.from_.next();
  if (!piece) {
    me.broken_ = std::move(piece.error());
    ::archive_set_error(reader, EIO, "%s", "the bytes end");
    return ARCHIVE_FATAL;
  }
  *into = piece->data();
  return static_cast<std::int64_t>(piece->size());
}

caf::error tar_reader::failure() { return broken_ ? broken_ : damaged(reader_.get()); }

result<archive_entry*> tar_reader::next() {
  if (!opened_) {
    opened_ = true;
    auto read = [](archive* reader, void* self, const void** into) -> la_ssize_t {
      return static_cast<la_ssize_t>(read_more(reader, self, into));
    };
    if (::archive_read_open(reader_.get(), this, nullptr, read, nullptr) != ARCHIVE_OK)
      return failure();
  }
  archive_entry* entry = nullptr;
  auto outcome = ::archive_read_next_header(reader_.get(), &entry);
  if (outcome == ARCHIVE_EOF && !broken_)
    return nullptr;
  // A warning is about what was lost of an entry, such as a name in an unknown encoding.
  if (outcome != ARCHIVE_OK && outcome != ARCHIVE_WARN)
    return failure();
  return entry;
}

result<std::optional<data_piece>> tar_reader::data() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  auto outcome = ::archive_read_data_block(reader_.get(), &bytes, &size, &offset);
  if (outcome == ARCHIVE_EOF)
    return std::optional<data_piece>{};
  if (outcome != ARCHIVE_OK && outcome != ARCHIVE_WARN)
    return failure();
  return std::optional{data_piece{{static_cast<const char*>(bytes), size}, offset}};
}

} // namespace sandy::runtime::oci
