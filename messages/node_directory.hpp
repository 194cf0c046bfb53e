#pragma once

// What every thread may know of the cluster at once, without asking an actor.

#include "messages/cluster.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy {

/// The nodes of a cluster at one moment. Immutable.
struct node_table {
  std::vector<node_view> nodes;

  const node_view* find(std::string_view id) const {
    auto found =
        std::ranges::find(nodes, id, [](const node_view& each) -> const auto& { return each.card.id; });
    return found == nodes.end() ? nullptr : &*found;
  }
  const node_view* self() const {
    auto found = std::ranges::find(nodes, true, &node_view::self);
    return found == nodes.end() ? nullptr : &*found;
  }
};

/// Where this node's membership says who is there. Thread safe.
class node_directory {
public:
  std::shared_ptr<const node_table> now() const {
    std::lock_guard lock{mutex_};
    return table_;
  }
  void publish(node_table changed) {
    auto next = std::make_shared<const node_table>(std::move(changed));
    std::lock_guard lock{mutex_};
    table_ = std::move(next);
  }

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const node_table> table_ = std::make_shared<const node_table>();
};

} // namespace sandy
