#pragma once

#include "runtime/unique_fd.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::test {

/// An entry of an archive as whoever made the archive wanted it.
struct tar_entry {
  std::string name;
  char type = 'f';     ///< f, d, l (symbolic link), h (hard link), c, b, p
  std::string content; ///< of a file; the target of a link
  unsigned mode = 0644;
  std::int64_t uid = 0, gid = 0;
  std::int64_t time = 1'000'000'000;
  std::vector<std::pair<std::string, std::string>> attributes{};
  std::int64_t hole = 0; ///< bytes without content in front of a file's content
};

/// A tar archive (pax).
std::string tar_of(const std::vector<tar_entry>& entries);

enum class packing { gzip, zstd };
std::string packed(std::string_view bytes, packing how);

std::string sha256_of(std::string_view bytes);

/// A file in memory with these bytes, to be read from its beginning.
runtime::unique_fd file_of(std::string_view bytes);

/// An image of some layers, and the archives that hold it.
struct test_image {
  std::vector<std::string> layers; ///< tar archives, lowest first
  nlohmann::json config = nlohmann::json::object();
  std::string architecture; ///< empty: this machine's
  bool gzip = false;

  /// The configuration document.
  std::string document() const;
  /// The files of an OCI layout, by name.
  std::map<std::string, std::string> oci_files() const;
  /// The files of an archive of docker save, as it was before version 25.
  std::map<std::string, std::string> docker_files() const;
};

std::string archive_of(const std::map<std::string, std::string>& files);

} // namespace sandy::test
