#pragma once

#include "runtime/connection_capture.hpp"
#include "runtime/relay_door.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace sandy::http::relay {

/// Makes relay doors and spreads them over the server's threads. Thread safe.
class relays {
public:
  /// @param contexts each run by one thread, at least one; they outlive every door.
  explicit relays(std::vector<boost::asio::io_context*> contexts)
      : contexts_(std::move(contexts)) {}

  /// A door for what was captured in one sandbox; nothing leads anywhere yet. @param label names the sandbox
  /// in the log. @returns nullptr when the descriptors cannot be used (logged).
  std::shared_ptr<runtime::relay_door> open(runtime::connection_capture captured, std::string label);

private:
  std::vector<boost::asio::io_context*> contexts_;
  std::atomic<std::size_t> next_{0};
  std::shared_ptr<std::atomic<std::size_t>> open_ = std::make_shared<std::atomic<std::size_t>>(0);
};

} // namespace sandy::http::relay
