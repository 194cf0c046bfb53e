#include "http/nodes/placement.hpp"

#include <algorithm>
#include <utility>

namespace sandy::http::nodes {

namespace {

template <class Range>
bool contains(const Range& all, const std::string& one) {
  return std::ranges::find(all, one) != all.end();
}

bool takes_new(const node_card& card) {
  return card.role != node_role::controller && card.state == node_state::ready;
}

} // namespace

double pressure(const node_load& load) {
  auto share = [](double part, double whole) { return whole > 0 ? part / whole : 1.0; };
  auto memory = 1 - share(static_cast<double>(load.memory_available_bytes),
                          static_cast<double>(load.memory_total_bytes));
  return std::max({share(load.sandboxes, load.max_sandboxes), memory, load.cpu_ratio});
}

std::vector<std::shared_ptr<const node_view>>
placement(const std::shared_ptr<const node_table>& table, const placement_wish& wish,
          const std::function<std::size_t(std::size_t)>& random) {
  std::vector<const node_view*> left;
  for (const auto& each : table->nodes)
    if (takes_new(each.card))
      left.push_back(&each);
  for (auto i = left.size(); i > 1; --i)
    std::swap(left[i - 1], left[random(i)]);
  // Those that were wished for first; one that is full now may have room soon.
  auto group = [&](const node_view* each) {
    return std::pair{!contains(each->card.labels, wish.upstream), !each->card.load.can_create};
  };
  std::ranges::sort(left, {}, group);
  auto is_better = [&](const node_view* a, const node_view* b) {
    auto warm = [&](const node_view* each) { return contains(each->card.load.warm, wish.flavor); };
    return std::pair{!warm(a), pressure(a->card.load)} < std::pair{!warm(b), pressure(b->card.load)};
  };
  std::vector<std::shared_ptr<const node_view>> order;
  for (auto at = left.begin(); at != left.end(); ++at) {
    auto next = at + 1;
    if (next != left.end() && group(*next) == group(*at) && is_better(*next, *at))
      std::iter_swap(at, next);
    order.emplace_back(table, *at);
  }
  return order;
}

} // namespace sandy::http::nodes
