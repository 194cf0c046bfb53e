#pragma once

#include "messages/error.hpp"
#include "runtime/oci/free_space.hpp"
#include "runtime/oci/tar_reader.hpp"
#include "runtime/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace sandy::runtime::oci {

/// What a tree that was unpacked takes.
struct tree_size {
  std::uint64_t bytes = 0; ///< on disk, about
  std::uint64_t inodes = 0;
};

/// Makes the tree of one layer from its tar archive, as overlayfs wants it: what the layer removes (".wh."
/// names) becomes character devices 0:0 and opaque directories.
///
/// No name leaves the tree: parents are opened in it as if it were the root directory, links on the way
/// included. Set-user-id and set-group-id bits of files, devices, sockets, and attributes but those of users
/// are left out; owners beyond the ids of a sandbox become nobody. Later entries replace earlier ones.
/// Needs root, and a file system that can be an upper directory of overlayfs. Blocking.
class layer_unpacker {
public:
  /// @param tree a directory without anything in it, and @param trash one beside it, for what is replaced;
  /// both outlive this. @param entries how many more there may be; outlives this.
  layer_unpacker(int tree, int trash, std::uint64_t& entries);

  /// Unpacks all. Fails with invalid_argument, payload_too_large, capacity_exhausted, internal.
  /// @param on_progress told of every entry, and of the bytes of every piece; what it fails with ends the
  /// work.
  result<tree_size> unpack(tar_reader& from, const std::function<result<void>(std::uint64_t)>& on_progress);

private:
  /// Where an entry goes: a directory, and the name in it.
  struct place {
    int parent = -1;  ///< lives until the next `find_place`
    std::string name; ///< empty: the tree itself
  };

  result<void> add(archive_entry* entry, tar_reader& from);
  result<place> find_place(std::string_view path, bool make_parents);
  result<unique_fd> open_directory(const std::string& path, bool make);
  result<void> make_room(const place& at, bool for_directory, bool& existed, bool& removed_below);
  result<void> add_whiteout(const place& at, std::string_view name);
  result<void> make_opaque(int directory);
  result<void> add_directory(archive_entry* entry, const place& at);
  result<void> add_file(archive_entry* entry, const place& at, tar_reader& from);
  result<void> add_hard_link(std::string_view target, const place& at);
  result<void> add_special(archive_entry* entry, const place& at);
  result<void> write_content(int file, archive_entry* entry, tar_reader& from);
  void set_attributes(int file, archive_entry* entry);
  caf::error wrong(std::string_view what) const;

  int tree_;
  int trash_;
  std::uint64_t& entries_;
  free_space space_;
  std::string path_; ///< of the entry at hand, for errors
  std::string parent_path_;
  unique_fd parent_; ///< open for `parent_path_`
  std::uint64_t replaced_ = 0;
  const std::function<result<void>(std::uint64_t)>* progress_ = nullptr;
  tree_size size_;
};

} // namespace sandy::runtime::oci
