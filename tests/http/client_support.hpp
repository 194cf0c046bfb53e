#pragma once

#include "http/engine_support.hpp"
#include "http/shard.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace sandy::tests {

/// What the sessions of one thread share, without sessions and without a thread: the test's own runs what it
/// asks for.
class client_shard {
public:
  client_shard();
  ~client_shard();

  http::shard& home() { return *home_; }
  http::context& server() { return context_; }

  /// Runs it to its end.
  template <class T>
  T run(io_task<T> work) {
    std::optional<T> outcome;
    auto keep = [](io_task<T> inner, std::optional<T>& to) -> io_task<void> {
      auto value = co_await std::move(inner);
      to.emplace(std::move(value));
    };
    std::exception_ptr failure;
    bool over = false;
    boost::asio::co_spawn(io_, keep(std::move(work), outcome), [&](std::exception_ptr e) {
      failure = e;
      over = true;
    });
    io_.restart();
    while (!over)
      io_.run_one();
    if (failure)
      std::rethrow_exception(failure);
    return std::move(*outcome);
  }

private:
  class no_data final : public data_plane {
  public:
    std::shared_ptr<sandbox_io> find(const sandbox_id&) override { return nullptr; }
  };
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };

  config config_;
  caf::actor_system system_{config_};
  no_data data_;
  metrics::registry metrics_{"test", {"basic"}};
  http::context context_;
  http::router router_{{}};
  counting_observer observer_;
  boost::asio::io_context io_{1};
  std::shared_ptr<http::shard> home_;
};

} // namespace sandy::tests
