#pragma once

#include "messages/error.hpp"
#include "runtime/process.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <string>

namespace sandy::runtime::docker {

/// What the engine answered.
struct engine_answer {
  unsigned status = 0;
  nlohmann::json body; ///< discarded when it is not JSON
  std::string server;  ///< what it calls itself, as it likes

  bool good() const noexcept { return status >= 200 && status < 300; }
  /// The engine's own words, in one printable line.
  std::string message() const;
};

/// Docker's engine, or another with its interface, behind its Unix socket (the Engine API, without a version
/// in the path: the engine's newest). A connection per question. Blocking; thread safe.
class engine {
public:
  explicit engine(std::string socket_path)
      : socket_(std::move(socket_path)) {}

  const std::string& socket_path() const noexcept { return socket_; }

  /// @param target path and query, encoded. @param body an object, or nothing. Fails with capacity_exhausted
  /// when nobody answers at the socket, or not by the deadline, with internal when what answers is not an
  /// engine.
  result<engine_answer> ask(const char* method, const std::string& target, const nlohmann::json& body,
                            steady_time deadline) const;
  result<engine_answer> get(const std::string& target, steady_time deadline) const {
    return ask("GET", target, nullptr, deadline);
  }

  /// Sends what is read from a descriptor to its end, a tar, as the body of a POST. @param go_on asked twice
  /// a second while there is nothing to do; given up when it says no. Fails as `ask`.
  result<engine_answer> upload(const std::string& target, int from, steady_time deadline,
                               std::function<bool()> go_on) const;

private:
  std::string socket_;
};

/// Text of a query's value, percent-encoded.
std::string encoded(std::string_view text);

} // namespace sandy::runtime::docker
