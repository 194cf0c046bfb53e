#pragma once

#include "http/client/address.hpp"
#include "http/client/call.hpp"
#include "messages/ids.hpp"
#include "messages/sandbox_io.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sandy::metrics {
class model_metrics;
}

namespace sandy::http {
class exchange;
}

namespace sandy::http::gateway {

/// Where one request for a model goes, for as long as it is under way. Destroyed when it is over: what was
/// held for it is given back then.
class lease {
public:
  virtual ~lease() = default;
  /// How the request went: false when the place did not answer properly, and the next request should rather
  /// not be led there. Called at most once, before the destruction.
  virtual void finished([[maybe_unused]] bool well) noexcept {}

  client::address to;
  std::string target; ///< of the chat completions there
  std::string fields; ///< credentials: whole lines of the request's head, each with its end
};

/// Something that answers chats for a model: a URL, a pool of warm containers.
class backend {
public:
  virtual ~backend() = default;
  /// A place for one request, when there is one without waiting; nullptr: ask `acquire`. On any shard's
  /// thread, as everything here.
  virtual std::unique_ptr<lease> at_once(const principal& caller) = 0;
  /// The same, when it takes time: at most `wait`. Cancelled when the client is gone. Fails as the request
  /// then does, unless another backend can answer it.
  virtual io_task<result<std::unique_ptr<lease>>> acquire(principal caller,
                                                          std::chrono::milliseconds wait) = 0;
  /// A place that is free now, for a request that has one already: fails rather than to wait. @param besides
  /// the place that it has; nullptr: it waits for one.
  virtual io_task<result<std::unique_ptr<lease>>> acquire_spare(principal caller, const lease* besides) = 0;
  /// Places that are worth asking, one after the other, when they fail before they said anything.
  virtual unsigned places() const noexcept { return 1; }
};

/// Where the answer to a chat goes, as it comes.
class chat_sink {
public:
  virtual ~chat_sink() = default;
  /// The answer becomes a stream. Called at most once, before any `write`. Fails when the client is gone.
  virtual io_task<result<void>> begin() = 0;
  /// A part of the stream: lines `data: ...` and `: ...`, each followed by an empty line. A part may begin
  /// and end within a line. Returns when it was taken; fails when the client is gone.
  virtual io_task<result<void>> write(std::string_view text) = 0;
  /// The stream is over: its last line was `data: [DONE]`.
  virtual io_task<void> end() = 0;
  /// The stream cannot go on, and ends after this. False: this sink has no words of its own for it, so that
  /// it is written as content, and ended.
  virtual io_task<bool> broke([[maybe_unused]] std::string why) { co_return false; }
  /// A whole answer, instead of a stream: a JSON object.
  virtual io_task<void> answer(std::string text) = 0;
};

/// A chat that was read and understood; see chat_request.hpp.
struct chat_request;

/// A model that Sandy answers itself, without asking a server.
class own_model {
public:
  virtual ~own_model() = default;
  /// Answers into the sink. It is cancelled when the client is gone, and sends keep-alive comments itself.
  /// Fails before anything was answered; after that it tells the truth in the stream.
  virtual io_task<result<void>> answer(exchange& ex, const chat_request& request, chat_sink& sink) = 0;
};

/// One model that clients can name.
struct model {
  std::string id;
  std::string owned_by = "competitor";
  std::vector<std::string> aliases; ///< other names of it; not listed
  std::string upstream_name;        ///< that it has at its backends; empty: the one that the client says
  /// Asked in turn; one that fails before it said anything is followed by the next.
  std::vector<std::shared_ptr<backend>> backends;
  std::shared_ptr<backend> fallback; ///< when all of them have failed; nullptr: none
  std::shared_ptr<own_model> own;    ///< then there are no backends
  /// After so much silence of a backend another one is asked as well, and who speaks first is heard; 0:
  /// never.
  std::chrono::milliseconds hedge_after{0};
  metrics::model_metrics* counted = nullptr; ///< set by the gateway
};

} // namespace sandy::http::gateway
