#pragma once

#include "store/store.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sandy {

/// What sandboxes wrote and was kept: who may use which under what name, and what nobody needs any more. A
/// value of the worker's, no actor. A layer is needed while it has a name, while somebody holds it, and while
/// a needed one lies above it.
class layers {
public:
  /// Keeps a layer from being collected while any copy exists: whoever makes or is a sandbox on top of it has
  /// one. Empty: none.
  using hold = std::shared_ptr<const layer_id>;

  /// Adds one, or replaces what is known of it.
  void put(layer_record record);
  void remove(const layer_id& id);

  bool contains(const layer_id& id) const { return all_.contains(id); }
  /// Empty for a layer that is not known.
  hold use(const layer_id& id) const;
  const layer_record* find(const layer_id& id) const;
  /// The complete layer of that name, if the caller may use it: its tenant's; for a sandbox, its own.
  const layer_record* find(const principal& caller, const std::string& name) const;
  /// Whether that name is taken, also by a layer on its way.
  bool taken(const tenant_id& tenant, const std::string& name) const;
  /// All that `find` would find, by name.
  std::vector<const layer_record*> visible(const principal& caller) const;
  /// How many a tenant has by name, those on their way included.
  std::size_t count(const tenant_id& tenant) const;
  /// Those that nobody needs; the upper ones of a stack first. Removing one may free the one below.
  std::vector<layer_id> unneeded() const;

private:
  struct entry {
    layer_record record;
    hold mine; ///< held by nobody else: its use count is 1
  };
  static bool visible(const principal& caller, const layer_record& record);

  std::map<layer_id, entry> all_;
};

} // namespace sandy
