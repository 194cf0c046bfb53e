#pragma once

// What every thread may know of the cluster at once, without asking an actor.

#include "messages/cluster.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
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
  /// The table with the sandboxes that were sent to nodes since they last said how they do.
  std::shared_ptr<const node_table> with_sent() const {
    std::lock_guard lock{mutex_};
    if (sent_.empty())
      return table_;
    auto counted = std::make_shared<node_table>(*table_);
    for (auto& each : counted->nodes)
      if (auto found = sent_.find(each.card.id); found != sent_.end()) {
        auto& load = each.card.load;
        load.sandboxes += found->second;
        load.cpu_ratio += cores_of_unseen * found->second / std::max(1u, load.cpu_count);
      }
    return counted;
  }
  void sent(const std::string& node) {
    std::lock_guard lock{mutex_};
    ++sent_[node];
  }
  /// A node has said how it does: what was sent before is in that.
  void forget_sent(const std::string& node) {
    std::lock_guard lock{mutex_};
    sent_.erase(node);
  }

private:
  /// What a sandbox is taken to use before its node has said.
  static constexpr double cores_of_unseen = 0.1;

  mutable std::mutex mutex_;
  std::map<std::string, std::uint32_t> sent_; ///< by node
  std::shared_ptr<const node_table> table_ = std::make_shared<const node_table>();
};

} // namespace sandy
