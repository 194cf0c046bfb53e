#pragma once

#include "http/exchange.hpp"
#include "messages/node_directory.hpp"

#include <memory>
#include <string>

namespace sandy::http {

struct route;

namespace nodes {

/// Another node of the cluster, as it was when somebody looked.
using node_handle = std::shared_ptr<const node_view>;

/// The node whose sandbox a request is about, by its path or its host name; nullptr: this one, or nobody
/// knows. Requests that another node passed on are always for this one.
node_handle elsewhere(exchange& ex, const route& matched);

/// What another node is told of a request: the value of its field.
std::string known_of(exchange& ex);

/// Has another node serve the request, and passes its answer back. Fails, before anything was answered, with
/// upstream_error: the node cannot be reached.
io_task<void> pass_on(exchange& ex, node_handle to);

} // namespace nodes
} // namespace sandy::http
