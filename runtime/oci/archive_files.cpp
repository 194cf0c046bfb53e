#include "runtime/oci/archive_files.hpp"

#include "runtime/oci/free_space.hpp"
#include "runtime/oci/sha256.hpp"
#include "runtime/oci/tar_reader.hpp"
#include "runtime/system_failure.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <fcntl.h>
#include <unistd.h>

#include <vector>

namespace sandy::runtime::oci {

namespace {

/// Links to links; more is a circle.
constexpr int most_links = 8;

result<void> write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return system_failure("cannot keep the archive");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return caf::unit;
}

/// Pieces of a sparse file would change its digest: files of an archive have no holes.
result<archive_files::file> keep(tar_reader& from, int directory, std::uint64_t number, free_space& space,
                                 const std::function<result<void>()>& go_on) {
  unique_fd to{
      ::openat(directory, std::to_string(number).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!to)
    return system_failure("cannot keep the archive");
  archive_files::file kept{number, 0, {}};
  sha256 digest;
  for (;;) {
    auto piece = from.data();
    if (!piece)
      return std::move(piece.error());
    if (!*piece)
      break;
    if (auto wanted = go_on(); !wanted)
      return std::move(wanted.error());
    const auto& [bytes, offset] = **piece;
    if (offset != static_cast<std::int64_t>(kept.size))
      return fail(errc::invalid_argument, "The archive has a file with holes");
    digest.update(bytes);
    kept.size += bytes.size();
    if (auto left = space.take(bytes.size()); !left)
      return std::move(left.error());
    if (auto written = write_all(to.get(), bytes); !written)
      return std::move(written.error());
  }
  kept.sha256 = digest.hex();
  return kept;
}

} // namespace

std::string plain_name(std::string_view name) {
  std::vector<std::string_view> parts;
  while (!name.empty()) {
    auto end = std::min(name.find('/'), name.size());
    auto part = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (part.empty() || part == ".")
      continue;
    if (part == "..") {
      if (parts.empty())
        return {};
      parts.pop_back();
    } else {
      parts.push_back(part);
    }
  }
  std::string plain;
  for (auto part : parts)
    plain.append(plain.empty() ? "" : "/").append(part);
  return plain;
}

result<archive_files> archive_files::read(int archive, int directory, const import_limits& limits,
                                          const std::function<result<void>()>& go_on) {
  archive_files all{directory};
  auto budget = limits.bytes;
  free_space space{directory};
  plain_stream plain{archive, budget};
  tar_reader reader{plain};
  for (std::uint64_t number = 0;; ++number) {
    auto entry = reader.next();
    if (!entry)
      return std::move(entry.error());
    if (*entry == nullptr)
      break;
    if (number == limits.archive_files)
      return fail(errc::payload_too_large, "The archive has too many files");
    const char* path = ::archive_entry_pathname(*entry);
    auto name = plain_name(path != nullptr ? path : "");
    if (name.empty())
      continue; // the archive's own directory, or nothing that an image could name
    const char* hard = ::archive_entry_hardlink(*entry);
    if (hard != nullptr) {
      all.links_[name] = plain_name(hard);
    } else if (::archive_entry_filetype(*entry) == AE_IFLNK) {
      const char* target = ::archive_entry_symlink(*entry);
      auto slash = name.rfind('/');
      auto base = slash == std::string::npos ? std::string{} : name.substr(0, slash + 1);
      all.links_[name] = plain_name(base + (target != nullptr ? target : ""));
    } else if (::archive_entry_filetype(*entry) == AE_IFREG) {
      auto kept = keep(reader, directory, number, space, go_on);
      if (!kept)
        return std::move(kept.error());
      all.files_[name] = std::move(*kept);
    }
  }
  // Whoever sends the archive must not be cut off behind its last entry.
  if (auto drained = plain.drain(); !drained)
    return std::move(drained.error());
  return all;
}

const archive_files::file* archive_files::find(std::string_view name) const {
  for (int followed = 0; followed <= most_links; ++followed) {
    if (auto found = files_.find(name); found != files_.end())
      return &found->second;
    auto link = links_.find(name);
    if (link == links_.end())
      return nullptr;
    name = link->second;
  }
  return nullptr;
}

result<unique_fd> archive_files::open(const file& which) const {
  unique_fd opened{::openat(directory_, std::to_string(which.number).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!opened)
    return system_failure("cannot read the archive again");
  return opened;
}

result<std::string> archive_files::text(const file& which, std::uint64_t most) const {
  if (which.size > most)
    return fail(errc::payload_too_large, "A document of the image is too large");
  auto opened = open(which);
  if (!opened)
    return std::move(opened.error());
  std::string all(which.size, '\0');
  for (std::size_t have = 0; have < all.size();) {
    auto count = ::read(opened->get(), all.data() + have, all.size() - have);
    if (count <= 0)
      return system_failure("cannot read the archive again");
    have += static_cast<std::size_t>(count);
  }
  return all;
}

void archive_files::drop(const file& which) const {
  ::unlinkat(directory_, std::to_string(which.number).c_str(), 0);
}

} // namespace sandy::runtime::oci
