#pragma once

#include "messages/node_directory.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sandy::http::nodes {

/// What choosing a node for a new sandbox depends on.
struct placement_wish {
  std::string upstream; ///< a label of the nodes to try first; empty, or of no node: any
  std::string flavor;
};

/// Less is better: the share that is used of what runs out first.
double pressure(const node_load& load);

/// The nodes that may take a new sandbox, in the order in which they are to be asked: those with the label
/// first, those that are full last, and of those that are alike the better of two that were chosen at random,
/// so that controllers which see the same old numbers do not all choose the same one; one with a warm sandbox
/// of the flavor is better than one without.
/// @param random a number below its argument.
std::vector<std::shared_ptr<const node_view>>
placement(const std::shared_ptr<const node_table>& table, const placement_wish& wish,
          const std::function<std::size_t(std::size_t)>& random);

} // namespace sandy::http::nodes
