#pragma once

// Conversation: edge -> worker. What sandboxes can be made from, and how a sandbox becomes such an image.

#include "messages/sandbox.hpp"

#include <string_view>

namespace sandy {

/// What a sandbox can be made from: an image of this installation, or a snapshot, which is its tenant's.
struct image_info {
  std::string name;
  bool snapshot = false;
  sandbox_id source;            ///< of a snapshot: the sandbox that it shows
  std::uint64_t size_bytes = 0; ///< on disk, about; of a snapshot without what it is made from; 0: unknown
  unix_millis created_at = 0;
  bool imported = false;           ///< from an archive, by an administrator
  std::string digest;              ///< of what it was made from; empty: unknown, as for a snapshot
  std::vector<std::string> layers; ///< lowest first; those of a snapshot are not told
};

/// True for 1 to 128 of [a-z0-9._-] that do not start with a dot.
bool is_image_name(std::string_view text) noexcept;

/// Asks for the images that the caller may use; answered by vector<image_info>, by name.
struct list_images {
  principal caller;
};

/// Keeps the file system of a sandbox, which stands still meanwhile, under a name of its tenant; answered by
/// image_info. Fails with sandbox_not_found, conflict (the name is taken, or too many layers), rate_limited
/// (the tenant has as many as it may), capacity_exhausted (the disk), sandbox_failed.
struct snapshot_sandbox {
  principal caller;
  sandbox_id id;
  std::string name; ///< empty: one is made
};

/// Forgets a snapshot or, for an administrator, an image that was imported; answered by its image_info.
/// Sandboxes made from it live on. Fails with image_not_found, and with forbidden for an image of the
/// installation.
struct remove_image {
  principal caller;
  std::string name;
};

/// Makes `count` sandboxes with the file system that `id` has now; answered by vector<sandbox_info> when all
/// of them are ready. All or none: fails as snapshot_sandbox and create_sandbox do.
struct fork_sandbox {
  principal caller;
  sandbox_id id;
  std::uint32_t count = 1;
  sandbox_id parent;             ///< as in create_sandbox; not the original's
  std::uint32_t ttl_seconds = 0; ///< 0: the original's, whole
  environment env;               ///< on top of the original's
};

/// Worker -> sandbox: keep what you have written as this layer; answered by layer_kept.
struct keep_layer {
  layer_id to;
};

struct layer_kept {
  layer_id below; ///< the layer under it; empty: none
  std::uint64_t size_bytes = 0;
  sandbox_info source;
  environment env; ///< what its creator gave it: a fork has it too
};

template <class Inspector>
auto inspect(Inspector& f, image_info& x) {
  return f(caf::meta::type_name("image_info"), x.name, x.snapshot, x.source, x.size_bytes, x.created_at,
           x.imported, x.digest, x.layers);
}
template <class Inspector>
auto inspect(Inspector& f, list_images& x) {
  return f(caf::meta::type_name("list_images"), x.caller);
}
template <class Inspector>
auto inspect(Inspector& f, snapshot_sandbox& x) {
  return f(caf::meta::type_name("snapshot_sandbox"), x.caller, x.id, x.name);
}
template <class Inspector>
auto inspect(Inspector& f, remove_image& x) {
  return f(caf::meta::type_name("remove_image"), x.caller, x.name);
}
template <class Inspector>
auto inspect(Inspector& f, fork_sandbox& x) {
  return f(caf::meta::type_name("fork_sandbox"), x.caller, x.id, x.count, x.parent, x.ttl_seconds, x.env);
}
template <class Inspector>
auto inspect(Inspector& f, keep_layer& x) {
  return f(caf::meta::type_name("keep_layer"), x.to);
}
template <class Inspector>
auto inspect(Inspector& f, layer_kept& x) {
  return f(caf::meta::type_name("layer_kept"), x.below, x.size_bytes, x.source, x.env);
}

} // namespace sandy
