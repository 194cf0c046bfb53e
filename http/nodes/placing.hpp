#pragma once

#include "http/exchange.hpp"
#include "http/nodes/passing.hpp"
#include "messages/sandbox.hpp"

#include <string_view>
#include <vector>

namespace sandy::http::nodes {

/// The nodes that may make this sandbox, in the order in which they are to be asked; nullptr stands for this
/// one. Alone, or when another node chose it, it is this one; a child is made where its parent is.
std::vector<node_handle> nodes_for(exchange& ex, const create_sandbox& wanted);

/// Whether another node may make what one has refused for this reason. Never for what may have been made.
bool is_worth_another(errc why) noexcept;

/// Has another node make it, and passes its answer back. Fails, and nothing was answered, as that node has,
/// where that is worth another; with upstream_error when the node was not reached, so that it has made
/// nothing; with cancelled when the client is gone. @param body of the request, which was read.
io_task<result<void>> make_at(exchange& ex, node_handle to, std::string_view body);

/// Why this node makes no sandboxes, whoever asks. @param beside the parent, or the one that is forked;
/// empty: none.
result<void> may_create(const context& server, const sandbox_id& beside);

} // namespace sandy::http::nodes
