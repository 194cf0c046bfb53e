#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace sandy::http::gateway::wire {

/// One answer on its way from chat completions to another dialect: a whole one, or the chunks of a stream.
class translation {
public:
  virtual ~translation() = default;
  /// A whole answer. Fails with upstream_error for what is none. Nothing else may be called then.
  virtual result<nlohmann::json> whole(const nlohmann::json& completion) = 0;
  /// Appends the events that a chunk makes. Fails with upstream_error for what is none; then call `fail`.
  virtual result<void> chunk(const nlohmann::json& chunk, std::string& out) = 0;
  /// Appends a sign of life.
  virtual void ping(std::string& out) = 0;
  /// Appends the end of a stream that ended as it should.
  virtual void finish(std::string& out) = 0;
  /// Appends the end of one that did not.
  virtual void fail(const caf::error& why, std::string& out) = 0;
};

} // namespace sandy::http::gateway::wire
