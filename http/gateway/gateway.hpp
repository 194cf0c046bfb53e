#pragma once

#include "http/gateway/arena.hpp"
#include "http/gateway/artifacts.hpp"
#include "http/gateway/chat_request.hpp"
#include "http/gateway/limits.hpp"
#include "http/gateway/model.hpp"

#include <atomic>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::metrics {
class gateway_metrics;
}

namespace sandy::http::gateway {

/// What the gateway is made of.
struct gateway_settings {
  std::vector<model> models;
  std::string default_model;  ///< id or alias; empty: the first
  std::string password;       ///< that everybody has to know before the release; empty: none
  bool for_sandboxes = false; ///< sandboxes may chat with their own tokens, without any budget of theirs
  chat_limits limits;
  artifact_limits artifacts;
  std::optional<client::url> scoring; ///< told of votes; none: they are kept here alone
};

/// The models that clients can chat with, and what belongs to chats. Thread safe; its models do not change.
class gateway {
public:
  gateway(gateway_settings settings, metrics::gateway_metrics& counted);

  /// By id or alias; nullptr: unknown.
  const model* find(std::string_view name) const;
  /// The model of a request: the competitor that it insists on, else the one it names, else the default.
  /// nullptr: an unknown competitor, or there are no models.
  const model* route(const chat_request& request) const;
  const std::vector<model>& models() const noexcept { return settings_.models; }
  const chat_limits& limits() const noexcept { return settings_.limits; }
  const std::string& password() const noexcept { return settings_.password; }
  bool for_sandboxes() const noexcept { return settings_.for_sandboxes; }
  const std::optional<client::url>& scoring() const noexcept { return settings_.scoring; }
  /// Which backend of a model is asked first, so that all have their turn.
  std::size_t next_turn() const noexcept { return turn_.fetch_add(1, std::memory_order_relaxed); }

  artifact_store& artifacts() noexcept { return artifacts_; }
  arena_book& arena() noexcept { return arena_; }

private:
  gateway_settings settings_;
  std::map<std::string, const model*, std::less<>> names_;
  const model* default_ = nullptr;
  mutable std::atomic<std::size_t> turn_{0};
  artifact_store artifacts_;
  arena_book arena_;
};

} // namespace sandy::http::gateway
